// The report of a run: one HTML file that needs nothing else, no network and no script, and forbids both to itself.

import { formatBytes, formatCount, formatSeconds, formatShare } from '../core/format.ts'
import { packageVersion } from '../core/version.ts'
import { type Funnel, funnelOf, type Output } from './funnel.ts'
import { Html, html } from './html.ts'
import type { AuditedRun } from './read-run.ts'
import { factsSection, outputSection, setAsideSection } from './report-facts.ts'
import { funnelSection, reasonsSection, throughputSection } from './report-funnel.ts'
import { samplesSection } from './report-samples.ts'
import { statisticsSection } from './report-statistics.ts'
import { reportStyle } from './report-style.ts'
import type { Sample } from './samples.ts'

/** @param samples as `readSamples` gives them, by stage and reason */
export function reportHtml(run: AuditedRun, samples: readonly Sample[]): string {
  const funnel = funnelOf(run)
  const sections = [
    funnelSection(funnel),
    reasonsSection(funnel, samples),
    statisticsSection(run),
    samplesSection(run, funnel, samples),
    throughputSection(funnel),
    setAsideSection(run, funnel),
    outputSection(run, funnel),
    factsSection(run),
  ].filter((section) => section !== undefined)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="sluice ${packageVersion}">
<title>${run.plan.pipeline} · audit</title>
<style>${new Html(reportStyle)}</style>
</head>
<body>
<a class="skip" href="#funnel">Skip to the funnel</a>
<div class="layout">
<nav aria-label="Contents"><p class="kicker">Contents</p><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
<div>
${headOf(run, funnel)}
<main>
${sections.map(({ id, title, lead, body }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${lead && html`<p class="lead">${lead}</p>`}${body}</section>\n`)}
</main>
<footer>Made by sluice ${run.plan.sluice} from ${run.path}. Seconds are of workers, not of the clock on the wall.</footer>
</div>
</div>
</body>
</html>
`.text
}

function headOf(run: AuditedRun, funnel: Funnel): Html {
  const { documents, kept, dropped, quarantined, damaged, records } = funnel
  const setAside = damaged + quarantined
  const output = funnel.outputs.at(-1)
  return html`<header>
<p class="kicker">Audit of a run</p>
<h1>${run.plan.pipeline}</h1>
<p>${run.isFinished ? sentence(funnel) : 'This run is not finished; the numbers are of what is done so far.'}</p>
${
  funnel.missing.length > 0 &&
  html`<div class="notice" role="note"><strong>Not finished.</strong> Still missing:<ul>${funnel.missing.map((phase) => html`<li>${phase}</li>`)}</ul></div>`
}
<dl class="numbers">
${number('Documents in', formatCount(documents), `of ${formatCount(records)} records, ${formatBytes(funnel.inputBytes)} read`)}
${number('Kept', formatCount(kept), formatShare(kept, documents))}
${number('Dropped', formatCount(dropped), formatShare(dropped, documents))}
${number('Set aside', formatCount(setAside), `${formatCount(damaged)} damaged, ${formatCount(quarantined)} quarantined`)}
${output && outputNumber(output)}
${number('Work', formatSeconds(funnel.seconds), 'worker time')}
</dl>
</header>`
}

function sentence({ documents, kept, stages }: Funnel): string {
  const [hardest] = [...stages].sort((a, b) => b.dropped - a.dropped)
  const share = `${formatShare(kept, documents)} of ${formatCount(documents)} documents came through`
  if (!hardest || hardest.dropped === 0) return `${share}; no stage dropped any.`
  return `${share}. ${hardest.stage} dropped the most: ${formatCount(hardest.dropped)}, ${formatShare(hardest.dropped, hardest.in)} of what reached it.`
}

function outputNumber({ tokens, shards, bytes }: Output): Html {
  if (tokens > 0) return number('Tokens', formatCount(tokens), `in ${formatCount(shards)} shards, ${formatBytes(bytes)}`)
  return number('Shards', formatCount(shards), formatBytes(bytes))
}

function number(name: string, value: string, note: string): Html {
  return html`<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`
}
