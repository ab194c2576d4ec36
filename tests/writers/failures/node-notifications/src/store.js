// What was sent, in PostgreSQL.
const { Client } = require('pg');

class StoreError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'StoreError';
  }
}

class Store {
  static async open() {
    const client = new Client({ host: '127.0.0.1', port: process.env.POSTGRES_PORT, user: 'shop', database: 'postgres' });
    await client.connect();
    await client.query(`
      DROP SCHEMA IF EXISTS notifications CASCADE; CREATE SCHEMA notifications; SET search_path = notifications;
      CREATE TABLE receivers (receiver text PRIMARY KEY, address text NOT NULL CONSTRAINT receivers_address_key UNIQUE,
        name text NOT NULL, locale varchar(5));
      CREATE TABLE mails (mail text PRIMARY KEY, receiver text REFERENCES receivers, tries int CONSTRAINT tries_are_few CHECK (tries < 10),
        sent timestamptz, body jsonb);`);
    const store = new Store();
    store.client = client;
    return store;
  }

  async add({ table, row, wrapped, query }) {
    const names = Object.keys(row);
    const places = names.map((_, index) => `$${index + 1}`);
    const text = query ?? `INSERT INTO ${table} (${names.join(', ')}) VALUES (${places.join(', ')})`;
    const values = Object.values(row);
    if (!wrapped) {
      await this.client.query(text, values);
      return;
    }
    try {
      await this.client.query(text, values);
    } catch (cause) {
      throw new StoreError(`could not keep ${wrapped}`, { cause });
    }
  }
}

module.exports = { Store };
