// The Vendure of the tests: everything in one process, its data in Postgres.
// DATABASE_URL, HOST, PORT; SEEDING=1 makes the tables.

const { DefaultLogger, LogLevel, defaultShippingCalculator } = require('@vendure/core');
const { customFields, priceStrategy, shippingCalculator } = require('./glopal');

module.exports.config = {
  apiOptions: { hostname: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 9200) },
  authOptions: {
    tokenMethod: ['bearer', 'api-key'],
    requireVerification: false,
    superadminCredentials: { identifier: 'admin', password: 'admin-of-a-test' },
    sessionDuration: '1h',
  },
  dbConnectionOptions: {
    type: 'postgres',
    url: process.env.DATABASE_URL,
    synchronize: process.env.SEEDING === '1',
    logging: false,
  },
  logger: new DefaultLogger({ level: LogLevel.Warn }),
  paymentOptions: { paymentMethodHandlers: [] },
  customFields,
  orderOptions: { orderItemPriceCalculationStrategy: priceStrategy },
  shippingOptions: { shippingCalculators: [defaultShippingCalculator, shippingCalculator] },
};
