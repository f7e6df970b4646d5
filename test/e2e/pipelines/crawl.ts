// A crawl's selected pages through extraction into Parquet, with a checkpoint between. XDG_CACHE_HOME keeps its lists.

import { pipeline, withArguments } from 'sluice'
import * as s from 'sluice/stages'
import { z } from 'zod'

const parameters = z.strictObject({
  base: z.string().describe('server of the crawl'),
  output: z.string(),
  cache: z.string().optional(),
})

export default withArguments(parameters, ({ base, output, cache }) =>
  pipeline('crawl')
    .from(s.commonCrawl({ crawl: 'CC-MAIN-2024-22', where: { language: ['eng', 'deu'], mime: 'text/html' }, baseUrl: base, cache }))
    .pipe(s.extractText())
    .checkpoint()
    .pipe(s.filter('long-enough', ({ text }) => text.length > 50, { version: 1 }))
    .to(s.parquetShards({ path: output })),
)
