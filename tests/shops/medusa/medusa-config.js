// A Medusa for tests: no dashboard, everything in memory but the database.
// SHOP_PLAIN=1 leaves out the one line that makes our reference a unique, searchable display id.
const { defineConfig } = require("@medusajs/framework/utils")

const reference = { generateCustomDisplayId: async (order) => order.metadata?.reference }

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { ssl: false },
    http: {
      adminCors: "http://localhost",
      authCors: "http://localhost",
      storeCors: "http://localhost",
      jwtSecret: "test",
      cookieSecret: "test",
    },
  },
  modules: [{ resolve: "@medusajs/medusa/order", options: process.env.SHOP_PLAIN === "1" ? {} : reference }],
})
