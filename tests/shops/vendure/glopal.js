// What a Vendure needs to take orders from orderflow: fields for our reference, the prices and the shipping that the
// buyer paid, and what makes Vendure go by them. Copy it; the settings below are merged into your own.
//
// The two locks are not for looks. `public: false` alone does not keep a buyer from writing these fields of an order
// through the Shop API (its input is plain JSON where an order has no public fields), so rights are asked for as well.

const { createHash, timingSafeEqual } = require('node:crypto');
const { LanguageCode, RandomBytesApiKeyStrategy, ShippingCalculator } = require('@vendure/core');

const hidden = { public: false, nullable: true, requiresPermission: ['UpdateOrder'] };

const customFields = {
  Order: [
    { name: 'glopalReference', type: 'string', unique: true, ...hidden },
    { name: 'glopalTotal', type: 'int', ...hidden },
    { name: 'glopalQuantity', type: 'int', ...hidden },
    { name: 'glopalShipping', type: 'int', ...hidden },
  ],
  OrderLine: [
    { name: 'glopalPrice', type: 'int', ...hidden },
    { name: 'glopalCharge', type: 'string', ...hidden },
  ],
};

// Only what carries our reference has prices of its own, and a buyer's cart never does.
const isOurs = (order) => order.state !== 'AddingItems' && Boolean(order.customFields.glopalReference);

const priceStrategy = {
  calculateUnitPrice(ctx, variant, fields, order) {
    const paid = isOurs(order) ? fields.glopalPrice : null;
    return paid == null
      ? { price: variant.listPrice, priceIncludesTax: variant.listPriceIncludesTax }
      : { price: paid, priceIncludesTax: true };
  },
};

const shippingCalculator = new ShippingCalculator({
  code: 'glopal-shipping',
  description: [{ languageCode: LanguageCode.en, value: 'What the buyer paid at Glopal' }],
  args: {},
  calculate: (ctx, order) =>
    isOurs(order)
      ? { price: order.customFields.glopalShipping ?? 0, priceIncludesTax: true, taxRate: 0 }
      : undefined, // not offered to anybody else
});

// Optional. Vendure hashes API keys as slowly as passwords, 0.3 s on every call. A key of 32 random bytes cannot be
// guessed, so a quick hash is enough. Keys that were made before have to be made anew.
const digest = (text) => createHash('sha256').update(text).digest();
const apiKeyStrategy = new RandomBytesApiKeyStrategy({
  hashingStrategy: {
    hash: async (key) => digest(key).toString('hex'),
    check: async (key, hash) => hash.length === 64 && timingSafeEqual(digest(key), Buffer.from(hash, 'hex')),
  },
  lastUsedAtUpdateInterval: '1 minute',
});

module.exports = { customFields, priceStrategy, shippingCalculator, apiKeyStrategy };
