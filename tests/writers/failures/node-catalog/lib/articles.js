import mysql from 'mysql2/promise';

export class Articles {
  static async connect() {
    const articles = new Articles();
    articles.connection = await mysql.createConnection({
      host: '127.0.0.1', port: process.env.MARIADB_PORT, user: 'shop', database: 'shop', multipleStatements: true,
    });
    await articles.connection.query(`
      DROP TABLE IF EXISTS variants, ware;
      CREATE TABLE ware (sku varchar(60) PRIMARY KEY, slug varchar(60), title varchar(30) NOT NULL, brand varchar(60) NOT NULL,
        grams smallint, CONSTRAINT grams_are_many CHECK (grams > 0), UNIQUE KEY ware_slug (slug));
      CREATE TABLE variants (variant varchar(60) PRIMARY KEY, sku varchar(60), CONSTRAINT variant_of FOREIGN KEY (sku) REFERENCES ware (sku));`);
    return articles;
  }

  async save({ into, row, locale, sql }) {
    const names = Object.keys(row ?? {});
    const text = sql ?? `INSERT INTO ${into} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
    await this.connection.query(`SET lc_messages = '${locale ?? 'en_US'}'`);
    await this.connection.query(text, Object.values(row ?? {}));
  }
}
