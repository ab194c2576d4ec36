import { decodeStock } from './stock.js';
import { Articles } from './articles.js';
import { importArticle, importBundle } from './imports.js';
import { Images } from './images.js';
import { Assortment } from './assortment.js';

export class Catalog {
  static async start() {
    const catalog = new Catalog();
    const articles = await Articles.connect();
    const images = new Images();
    const assortment = new Assortment();
    catalog.routes = new Map([
      ['stock', decodeStock],
      ['articles', (value) => articles.save(JSON.parse(value.toString()))],
      ['imports', (value) => importArticle(JSON.parse(value.toString()))],
      ['bundles', (value) => importBundle(JSON.parse(value.toString()))],
      ['images', (value) => images.fetch(JSON.parse(value.toString()))],
      ['assortments', (value) => assortment.change(JSON.parse(value.toString()))],
    ]);
    return catalog;
  }

  async onMessage(topic, value) {
    const route = this.routes.get(topic);
    await route(value);
  }
}
