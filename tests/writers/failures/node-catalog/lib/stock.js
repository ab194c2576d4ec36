import avro from 'avsc';

const type = avro.Type.forSchema({
  type: 'record',
  name: 'Stock',
  fields: [
    { name: 'sku', type: 'string' },
    { name: 'site', type: { type: 'enum', name: 'Site', symbols: ['NORTH', 'SOUTH'] } },
    { name: 'level', type: ['null', 'long'] },
  ],
});

export function decodeStock(value) {
  const stock = type.fromBuffer(value);
  const again = { ...stock, level: stock.site === 'NORTH' ? stock.level : 'none' };
  type.toBuffer(again);
  throw new RangeError(`stock of ${stock.sku} is ${stock.level} in the ${stock.site.toLowerCase()}`);
}
