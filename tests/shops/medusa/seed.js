// Fills an empty Medusa: a channel, a region, stock, the products of the fake Glopal, and a secret key.
// What a connector needs to know is written to SEED_FILE as JSON.
const fs = require("node:fs")
const { ContainerRegistrationKeys, Modules } = require("@medusajs/framework/utils")
const flows = require("@medusajs/medusa/core-flows")

const PRODUCTS = { "WALKER-42": 74.99, "WALKER-43": 74.99, "SCARF-RED": 29.95, "MUG-01": 12.5, "TENT-2P": 219 }
const PLENTY = 1000000
const SCARCE = { sku: "LAST-ONE", stock: 1 }

module.exports.default = async function seed({ container }) {
  const run = async (flow, input) => (await flow(container).run({ input })).result
  const link = container.resolve(ContainerRegistrationKeys.LINK)

  const [user] = await run(flows.createUsersWorkflow, { users: [{ email: "admin@shop.test" }] })
  const auth = container.resolve(Modules.AUTH)
  const { authIdentity } = await auth.register("emailpass", { body: { email: "admin@shop.test", password: "secret" } })
  await auth.updateAuthIdentities({ id: authIdentity.id, app_metadata: { user_id: user.id } })

  const [channel] = await run(flows.createSalesChannelsWorkflow, { salesChannelsData: [{ name: "Glopal" }] })
  const [store] = await container.resolve(Modules.STORE).listStores()
  const supported_currencies = [{ currency_code: "eur", is_default: true }, { currency_code: "gbp" }]
  await run(flows.updateStoresWorkflow, { selector: { id: store.id }, update: { supported_currencies } })
  const [region] = await run(flows.createRegionsWorkflow, {
    regions: [{ name: "Abroad", currency_code: "eur", countries: ["de", "fr", "es"], automatic_taxes: false }],
  })

  const [location] = await run(flows.createStockLocationsWorkflow, { locations: [{ name: "Warehouse" }] })
  await run(flows.linkSalesChannelsToStockLocationWorkflow, { id: location.id, add: [channel.id] })
  await link.create({
    [Modules.STOCK_LOCATION]: { stock_location_id: location.id },
    [Modules.FULFILLMENT]: { fulfillment_provider_id: "manual_manual" },
  })
  const [profile] = await run(flows.createShippingProfilesWorkflow, { data: [{ name: "Default", type: "default" }] })
  const set = await container.resolve(Modules.FULFILLMENT).createFulfillmentSets({
    name: "Abroad",
    type: "shipping",
    service_zones: [{ name: "Abroad", geo_zones: [{ type: "country", country_code: "de" }] }],
  })
  await link.create({
    [Modules.STOCK_LOCATION]: { stock_location_id: location.id },
    [Modules.FULFILLMENT]: { fulfillment_set_id: set.id },
  })
  const [option] = await run(flows.createShippingOptionsWorkflow, [{
    name: "Glopal",
    price_type: "flat",
    provider_id: "manual_manual",
    service_zone_id: set.service_zones[0].id,
    shipping_profile_id: profile.id,
    type: { label: "Glopal", description: "Arranged by Glopal", code: "glopal" },
    prices: [{ currency_code: "eur", amount: 10 }],
  }])

  const products = [...Object.entries(PRODUCTS), [SCARCE.sku, 5]].map(([sku, amount]) => ({
    title: sku,
    status: "published",
    shipping_profile_id: profile.id,
    options: [{ title: "Kind", values: ["only"] }],
    sales_channels: [{ id: channel.id }],
    variants: [{ title: "only", sku, options: { Kind: "only" }, prices: [{ currency_code: "eur", amount }] }],
  }))
  const made = await run(flows.createProductsWorkflow, { products })
  const items = await container.resolve(Modules.INVENTORY).listInventoryItems({})
  await run(flows.createInventoryLevelsWorkflow, {
    inventory_levels: items.map((item) => ({
      inventory_item_id: item.id,
      location_id: location.id,
      stocked_quantity: item.sku === SCARCE.sku ? SCARCE.stock : PLENTY,
    })),
  })
  const [key] = await run(flows.createApiKeysWorkflow, {
    api_keys: [{ title: "orderflow", type: "secret", created_by: user.id }],
  })

  const variants = Object.fromEntries(made.flatMap((one) => one.variants.map((variant) => [variant.sku, variant.id])))
  const lines = Object.entries(variants).map(([sku, id]) => `"${sku}" = "${id}"\n`)
  fs.writeFileSync(`${process.env.SEED_FILE}.variants.toml`, lines.join(""))
  fs.writeFileSync(process.env.SEED_FILE, JSON.stringify({
    key: key.token,
    region_id: region.id,
    sales_channel_id: channel.id,
    shipping_option_id: option.id,
    variants,
    variants_file: `${process.env.SEED_FILE}.variants.toml`,
  }))
}
