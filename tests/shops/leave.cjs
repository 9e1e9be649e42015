// A shop ends with the test run that started it, however that ended: its standard input closes.
process.stdin.resume()
process.stdin.on("end", () => process.exit())
