// The Vendure of the tests: everything in one process, its data in Postgres.
// DATABASE_URL, PORT; SEEDING=1 makes the tables, SLOW_KEYS=1 leaves the hashing of API keys as Vendure has it.

const { DefaultLogger, LogLevel, defaultShippingCalculator } = require('@vendure/core');
const { apiKeyStrategy, customFields, priceStrategy, shippingCalculator } = require('./glopal');

module.exports.config = {
  apiOptions: { hostname: '127.0.0.1', port: Number(process.env.PORT ?? 0) },
  authOptions: {
    tokenMethod: ['bearer', 'api-key'],
    requireVerification: false,
    ...(process.env.SLOW_KEYS === '1' ? {} : { adminApiKeyStrategy: apiKeyStrategy }),
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
