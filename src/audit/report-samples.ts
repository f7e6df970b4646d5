// The report's samples: dropped documents to read, by stage and reason, with the numbers that decided.

import { formatCount, formatNumber } from '../core/format.ts'
import type { FrozenStage } from '../engine/run-folder.ts'
import type { Funnel } from './funnel.ts'
import { type Html, html } from './html.ts'
import type { AuditedRun } from './read-run.ts'
import type { Section } from './report-section.ts'
import type { Sample } from './samples.ts'
import { thresholdsOf } from './thresholds.ts'

/** Id of the place where the samples of a reason stand. */
export function sampleAnchor(stage: string, reason: string): string {
  return `samples-${`${stage}-${reason}`.replace(/[^\w-]+/g, '_')}`
}

export function samplesSection({ plan, phases }: AuditedRun, { stages }: Funnel, samples: readonly Sample[]): Section {
  const frozen = new Map(phases.flatMap((phase) => phase.stages.map((stage) => [stage.name, stage])))
  const groups = stages.flatMap(({ stage, reasons }) =>
    reasons.flatMap(({ reason, documents }) => {
      const chosen = samples.filter((sample) => sample.stage === stage && sample.reason === reason)
      return chosen.length > 0 ? [{ stage, reason, documents, chosen }] : []
    }),
  )
  const { rejected, rejectedText } = plan.choices
  const privacy = {
    redacted: 'Personal data in them is redacted.',
    raw: 'Their text is raw: take care whom you show this file.',
    off: 'The run kept no text of them.',
  }
  return {
    id: 'samples',
    title: 'Dropped documents',
    lead:
      groups.length === 0
        ? undefined
        : `A few of every reason, chosen by their ids: the same ones in every report of these inputs. ${privacy[rejectedText]}`,
    body:
      groups.length === 0
        ? html`<p>${rejected === 'off' ? 'This run kept no dropped documents: run it with --rejected sample to read some here.' : 'No dropped documents to show.'}</p>`
        : html`${groups.map(
            ({ stage, reason, documents, chosen }) =>
              html`<details class="card samples" id="${sampleAnchor(stage, reason)}"><summary><span><strong>${stage}</strong> <code>${reason}</code></span><span class="soft">${formatCount(chosen.length)} of ${formatCount(documents)}</span></summary>
${chosen.map((sample) => article(sample, frozen.get(stage)))}</details>\n`,
          )}`,
  }
}

function article(sample: Sample, stage: FrozenStage | undefined): Html {
  const { id, url, source, offset, text, characters } = sample
  const rest = characters - [...text].length
  return html`<article><p class="where">${url !== undefined && html`<span>${url}</span><br>`}<code>${shortSource(source)}</code> at ${formatCount(offset)} · <code>${id}</code></p>
${measured(sample, stage)}
${characters === 0 ? html`<p class="where">No text.</p>` : html`<pre tabindex="0">${text}${rest > 0 && '…'}</pre>`}${rest > 0 && html`<p class="where">${formatCount(rest)} more characters</p>`}</article>\n`
}

/** What the stage itself measured, the broken threshold marked. */
function measured({ stage: name, statistics }: Sample, stage: FrozenStage | undefined): Html | undefined {
  const own = Object.entries(statistics).filter(([key]) => key.startsWith(`${name}.`))
  if (own.length === 0) return undefined
  return html`<ul class="measured">${own.map(([key, value]) => {
    const statistic = key.slice(name.length + 1)
    const broken =
      stage && value !== null
        ? thresholdsOf(stage, statistic).find(({ value: limit, drops }) => (drops === 'below' ? value < limit : value > limit))
        : undefined
    const shown = value === null ? 'not measured' : formatNumber(value)
    return html`<li class="${broken ? 'drops' : ''}">${statistic} ${shown}${broken && ` (${broken.option} ${formatNumber(broken.value)})`}</li>`
  })}</ul>`
}

/** The last part of an input's address: the whole is long, and stands in the receipts. */
function shortSource(source: string): string {
  return source.slice(source.lastIndexOf('/') + 1)
}
