// Mails, by a schema.
const Ajv = require('ajv');
const addFormats = require('ajv-formats');

class InvalidMailError extends Error {
  constructor(message, errors) {
    super(message);
    this.name = 'InvalidMailError';
    this.errors = errors;
  }
}

const schema = {
  type: 'object',
  required: ['mailId', 'to', 'subject'],
  additionalProperties: false,
  properties: {
    mailId: { type: 'string' },
    to: { type: 'string', format: 'email' },
    subject: { type: 'string', minLength: 3 },
    priority: { enum: ['low', 'high'] },
    lines: { type: 'array', items: { type: 'object', required: ['sku'], properties: { count: { type: 'integer', minimum: 1 } } } },
    buyer: { type: 'object' },
    order: { type: 'object' },
    sent: { type: ['string', 'number'] },
    language: { type: 'string' },
    amount: {},
    thread: { type: 'object' },
  },
};

class Mailer {
  constructor() {
    const ajv = new Ajv({ allowUnionTypes: true });
    addFormats(ajv);
    this.ajv = ajv;
    this.validate = ajv.compile(schema);
  }

  async send(mail) {
    if (!this.validate(mail)) {
      throw new InvalidMailError(`mail ${mail.mailId}: ${this.ajv.errorsText(this.validate.errors)}`, this.validate.errors);
    }
    if (mail.thread) {
      await this.rootOf(mail.thread);
    }
    const head = this.head(mail);
    const when = this.when(mail);
    const amount = this.amountOf(mail);
    throw new Error(`${head} ${amount} undeliverable since ${when}`);
  }

  head(mail) {
    return `${mail.buyer.name.toUpperCase()}, ${this.street(mail.order)}`;
  }

  street(order) {
    return order.address.street.trim();
  }

  when(mail) {
    return new Date(mail.sent).toISOString();
  }

  amountOf(mail) {
    return new Intl.NumberFormat(mail.language).format(BigInt(mail.amount ?? 1));
  }

  async rootOf(thread) {
    await null;
    if (thread.parent) {
      return this.rootOf(thread.parent);
    }
    throw new Error(`thread ${thread.id} of ${thread.owner} was archived`);
  }
}

module.exports = { Mailer };
