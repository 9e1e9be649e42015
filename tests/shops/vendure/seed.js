// Makes the tables and what the tests need; writes to SEED_FILE the key of the connector and the way in of the tests.

process.env.SEEDING = '1';
const { writeFileSync } = require('node:fs');

const { bootstrap } = require('@vendure/core');
const { populateInitialData } = require('@vendure/core/cli');
const { config } = require('./config');

const COUNTRIES = { DE: 'Germany', ES: 'Spain', FR: 'France', GB: 'Britain', IE: 'Ireland', JP: 'Japan', NO: 'Norway' };
const CURRENCIES = ['GBP', 'EUR', 'JPY', 'NOK', 'USD'];
// SKU -> stock; null is not counted.
const GOODS = {
  'WALKER-42': 50000, 'WALKER-43': 50000, 'SCARF-RED': 50000, 'MUG-01': 50000, 'TENT-2P': 50000,
  SCARCE: 3, TWICE: 50000, 'GLOPAL-CHARGES': null,
};
const RIGHTS = [
  'ReadOrder', 'CreateOrder', 'UpdateOrder', 'DeleteOrder', 'ReadCatalog', 'ReadShippingMethod', 'ReadCustomer',
];

async function main() {
  const app = await bootstrap(config);
  await populateInitialData(app, {
    defaultLanguage: 'en',
    defaultZone: 'World',
    countries: Object.entries(COUNTRIES).map(([code, name]) => ({ code, name, zone: 'World' })),
    taxRates: [{ name: 'Standard', percentage: 0 }],
    shippingMethods: [],
    paymentMethods: [],
    collections: [],
  });
  const ask = caller(`${await app.getUrl()}/admin-api`);
  const login = 'mutation ($u: String!, $p: String!) { login(username: $u, password: $p) { __typename } }';
  const { identifier, password } = config.authOptions.superadminCredentials;
  await ask(login, { u: identifier, p: password });

  const { activeChannel } = await ask('{ activeChannel { id } }');
  await ask(`mutation ($i: UpdateChannelInput!) { updateChannel(input: $i) { ... on Channel { id } } }`, {
    i: {
      id: activeChannel.id,
      defaultCurrencyCode: 'GBP',
      availableCurrencyCodes: CURRENCIES,
      pricesIncludeTax: true,
      trackInventory: true,
    },
  });
  await ask(`mutation ($i: CreateShippingMethodInput!) { createShippingMethod(input: $i) { id } }`, {
    i: {
      code: 'glopal',
      fulfillmentHandler: 'manual-fulfillment',
      checker: { code: 'default-shipping-eligibility-checker', arguments: [{ name: 'orderMinimum', value: '0' }] },
      calculator: { code: 'glopal-shipping', arguments: [] },
      translations: [{ languageCode: 'en', name: 'Glopal', description: '' }],
    },
  });
  await products(ask);
  const seeded = { key: await key(ask), admin: identifier, password };
  writeFileSync(process.env.SEED_FILE, JSON.stringify(seeded));
  await app.close();
  process.exit(0);
}

// Prices of the catalogue are odd on purpose: none of them may show in an order of ours.
async function products(ask) {
  const sizes = Object.entries(GOODS);
  const { createProduct } = await ask(
    `mutation ($i: CreateProductInput!) { createProduct(input: $i) { id } }`,
    { i: { enabled: true, translations: [{ languageCode: 'en', name: 'Walker', slug: 'walker', description: '' }] } },
  );
  const { createProductOptionGroup } = await ask(
    `mutation ($i: CreateProductOptionGroupInput!) { createProductOptionGroup(input: $i) { id options { id code } } }`,
    {
      i: {
        code: 'sku',
        translations: [{ languageCode: 'en', name: 'SKU' }],
        options: sizes.map(([sku]) => ({ code: sku.toLowerCase(), translations: [{ languageCode: 'en', name: sku }] })),
      },
    },
  );
  await ask(`mutation ($p: ID!, $g: ID!) { addOptionGroupToProduct(productId: $p, optionGroupId: $g) { id } }`, {
    p: createProduct.id,
    g: createProductOptionGroup.id,
  });
  const options = Object.fromEntries(createProductOptionGroup.options.map((one) => [one.code, one.id]));
  await ask(`mutation ($i: [CreateProductVariantInput!]!) { createProductVariants(input: $i) { id } }`, {
    i: sizes.map(([sku, stock]) => ({
      productId: createProduct.id,
      sku,
      optionIds: [options[sku.toLowerCase()]],
      prices: CURRENCIES.map((currencyCode) => ({ currencyCode, price: 31337 })),
      stockOnHand: stock ?? 0,
      trackInventory: stock === null ? 'FALSE' : 'TRUE',
      translations: [{ languageCode: 'en', name: sku }],
    })),
  });
}

// A key that may do what the connector does, and nothing else.
async function key(ask) {
  const { createRole } = await ask(`mutation ($i: CreateRoleInput!) { createRole(input: $i) { id } }`, {
    i: { code: 'orderflow', description: 'orderflow', permissions: RIGHTS },
  });
  const { createApiKey } = await ask(`mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { apiKey } }`, {
    i: { roleIds: [createRole.id], translations: [{ languageCode: 'en', name: 'orderflow' }] },
  });
  return createApiKey.apiKey;
}

function caller(url) {
  let token;
  return async (query, variables) => {
    const reply = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify({ query, variables }),
    });
    token = reply.headers.get('vendure-auth-token') ?? token;
    const { data, errors } = await reply.json();
    if (errors) throw new Error(errors[0].message);
    return data;
  };
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
