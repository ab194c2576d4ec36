import { EventEmitter } from 'node:events';
import { createHash, createDecipheriv } from 'node:crypto';
import assert from 'node:assert/strict';

class Shelf {
  constructor(city) {
    this.city = city;
    this.articles = new Map();
  }

  get(sku) {
    return this.articles.get(sku).sku;
  }

  put(article) {
    if (article.lentTo) {
      throw new Error(`el artículo ${article.sku} está prestado a ${article.lentTo} en ${this.city}`);
    }
    return this.get(article.sku);
  }
}

export class Assortment {
  shelves = { Graz: new Shelf('Graz') };
  emitter = new EventEmitter();

  async change(change) {
    await this[change.how](change);
  }

  async move(change) {
    const shelf = this.shelves[change.from];
    shelf.put(change.article);
  }

  async put(change) {
    new Shelf(change.from).put(change.article);
  }

  async hash(change) {
    createHash(change.algorithm).update(change.article.sku);
  }

  async open(change) {
    const decipher = createDecipheriv('aes-128-gcm', Buffer.alloc(16), Buffer.alloc(12));
    decipher.setAuthTag(Buffer.from(change.tag, 'hex'));
    decipher.update(Buffer.from(change.article.sku));
    decipher.final();
  }

  async expect(change) {
    assert.equal(change.seen, change.wanted, `${change.buyer} saw ${change.seen} of ${change.article.sku}`);
  }

  async compare(change) {
    assert.deepEqual(change.seen, change.wanted);
  }

  async emit(change) {
    this.emitter.emit('error', new Error(`shelf ${change.from} is full: ${change.articles.length} articles [${change.articles.join(', ')}]`));
  }

  async depth(change) {
    const down = (level) => (level.inner ? down(level.inner) : level.name.first);
    return down(change.level);
  }

  async all(change) {
    await Promise.all(change.articles.map(async (sku) => this.one(sku, change)));
  }

  async one(sku, change) {
    await null;
    if (sku.length < 90) {
      throw new RangeError(`${sku} is not for ${change.buyer}`);
    }
  }

  async wrap(change) {
    try {
      await this.move(change);
    } catch (cause) {
      throw new Error('assortment was not changed', { cause });
    }
  }

  async wrapTwice(change) {
    try {
      await this.wrap(change);
    } catch (cause) {
      throw new Error(`change ${change.change} by ${change.buyer} failed`, { cause });
    }
  }

  async buffer(change) {
    Buffer.alloc(change.size).readUInt32BE(change.at);
  }

  async symbols(change) {
    return change.article.count + BigInt(change.size);
  }

  async later() {
    return shelfOf(this);
    const shelfOf = (self) => self.shelves;
  }
}
