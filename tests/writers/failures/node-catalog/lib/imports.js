import Joi from 'joi';
import { z } from 'zod';

const Article = z.object({
  sku: z.string().min(4),
  title: z.string(),
  price: z.object({ amount: z.number().nonnegative(), currency: z.enum(['EUR', 'USD']) }),
  contact: z.email().optional(),
  since: z.iso.date().optional(),
  images: z.array(z.object({ path: z.string(), width: z.number().int() })).optional(),
  tags: z.record(z.string(), z.number()).optional(),
  kind: z.discriminatedUnion('type', [z.object({ type: z.literal('single') }), z.object({ type: z.literal('pack') })]).optional(),
}).strict();

const Bundle = Joi.object({
  bundle: Joi.string().required(),
  articles: Joi.array().min(1).items(Joi.object({ sku: Joi.string().required(), count: Joi.number().integer().min(1) })),
  discount: Joi.number().max(0.9),
  valid: Joi.date().iso(),
  seller: Joi.string().pattern(/^[A-Z ]+$/),
});

export function importArticle(value) {
  const article = Article.parse(value);
  throw new Error(`${article.title} (${article.sku}) has no image`);
}

export function importBundle(value) {
  const bundle = Joi.attempt(value, Bundle);
  const first = bundle.articles.find((article) => article.count > 10);
  throw new Error(`bundle ${bundle.bundle} begins with ${first.sku}`);
}
