import axios from 'axios';
import pRetry, { AbortError } from 'p-retry';
import zlib from 'node:zlib';
import { promisify } from 'node:util';
import { readFile } from 'node:fs/promises';

const gunzip = promisify(zlib.gunzip);
const client = axios.create({ timeout: 1000, proxy: false, maxRedirects: 0 });

export class ImageError extends Error {
  name = 'ImageError';
}

export class Images {
  async fetch(image) {
    const base = image.base ?? `http://127.0.0.1:${process.env.UPSTREAM_PORT}`;
    if (image.file) {
      await this.fromFile(image);
    }
    if (image.packed) {
      await gunzip(Buffer.from(image.packed, 'base64'));
    }
    if (image.checked) {
      return this.check(`${base}/checks/${image.image}`, image);
    }
    const { data } = await client.get(`${base}/images/${image.image}`);
    return this.crop(data, image);
  }

  async fromFile(image) {
    try {
      await readFile(image.file);
    } catch (cause) {
      throw new ImageError(`image ${image.image} by ${image.artist} cannot be read`, { cause });
    }
  }

  async check(url, image) {
    return pRetry(async (attempt) => {
      const response = await client.get(url, { validateStatus: () => true });
      if (response.status === 410) {
        throw new AbortError(`image ${image.image} of ${image.artist} is gone`);
      }
      throw new ImageError(`check ${attempt} of ${image.image}: status ${response.status}`);
    }, { retries: image.retries, minTimeout: 1, maxTimeout: 1 });
  }

  crop(data, image) {
    const { width } = data.size;
    const box = new Uint8Array(width - image.margin);
    return data.layers.map((layer) => layer.name.slice(box.length));
  }
}
