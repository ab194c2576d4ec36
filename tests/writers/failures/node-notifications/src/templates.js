'use strict';

// Templates, rendered.
const fs = require('fs/promises');

class Template {
  #name;
  constructor(name) {
    this.#name = name;
  }
  toString() {
    return this.#name;
  }
}

class Templates {
  async render(job) {
    return this[job.do](job);
  }

  async file(job) {
    return JSON.parse(await fs.readFile(job.path, 'utf8'));
  }

  async place(job) {
    return job.text.replaceAll(/\{(\w+)\}/g, (_, name) => {
      if (!(name in job.values)) {
        throw new ReferenceError(`${name} is not a placeholder of ${job.template}`);
      }
      return job.values[name];
    });
  }

  async repeat(job) {
    return job.text.repeat(job.times);
  }

  async pattern(job) {
    return new RegExp(job.pattern).test(job.text);
  }

  async nested(job) {
    return JSON.parse(job.content).ref;
  }

  async address(job) {
    return new URL(job.address).host + decodeURIComponent(job.path ?? '');
  }

  async fixed(job) {
    return Number(job.amount).toFixed(job.digits);
  }

  async circle(job) {
    job.self = job;
    return JSON.stringify(job);
  }

  async frozen(job) {
    const parts = Object.freeze(job.parts);
    parts.push(job.template);
  }

  async walk(job) {
    const [first] = job.sections;
    for (const part of first.parts) {
      this.sectionOf(part);
    }
    return job.sections.reduce((all, section) => all.concat(section.parts));
  }

  sectionOf(part) {
    return part.text.length;
  }

  async call(job) {
    return this.filters(job.filter)(job.text);
  }

  filters(name) {
    return { upper: (text) => text.toUpperCase() }[name];
  }

  async hidden(job) {
    return Template.prototype.toString.call(job.template);
  }

  async all(job) {
    const failed = job.parts.filter((part) => part.length < 30);
    throw new AggregateError(failed.map((part) => new RangeError(`part ${part} is too short`)), `${failed.length} parts of ${job.template} are too short`);
  }

  async verlag(job) {
    throw new Error(`Vorlage ${job.template} für ${job.name} in ${job.city} fehlt`);
  }

}

module.exports = { Templates };
