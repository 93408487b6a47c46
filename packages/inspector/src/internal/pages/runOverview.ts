import type { Draw } from "@llm-cache/core/TraceIndex"
import { tokenChart } from "../chart.ts"
import type { Links, Query } from "../context.ts"
import { ago, count, duration, forkLabel, isoTime, modelLabel, plural } from "../format.ts"
import { html } from "../html.ts"
import { codeText, counted, explanationView, forkText, link, numeric, table } from "../parts.ts"
import { verdictOf } from "../runInfo.ts"
import { forksView } from "./forks.ts"
import type { DrawRow, RunData } from "./runData.ts"
import { stateBadges } from "./runs.ts"
import { cutText, raceAdvice } from "./runTexts.ts"

export const head = ({ before, file, info, isComplete, now, problems, state }: RunData, links: Links) => {
  const { lastAt, name, receipt, startedAt } = info
  const start = Number.isNaN(startedAt) ? state.startedAt : startedAt
  const percent = state.size === 0 ? 100 : Math.floor(state.read / state.size * 100)
  return html`<div class="title"><h1>${name}</h1><p>${stateBadges(info)}</p></div>
<p class="verdict">${receipt === undefined ? info.problem : verdictOf(receipt)}</p>
<p class="faint"><time datetime="${isoTime(start)}" title="${isoTime(start)}">${ago(start, now)}</time>, ${
    duration(Math.max(0, (state.lastAt || lastAt) - start))
  } long · <code title="${file}">${file.split(/[\\/]/).at(-1)}</code>${
    before !== undefined && links.compare(before, info.id) !== undefined
    && html` · <a href="${links.compare(before, info.id)}">Compare with the run before</a>`
  }</p>
${problems.map((problem) => html`<p class="notice problem">${problem}</p>`)}${
    receipt?.isCut === true && html`<p class="notice alert" role="note">${cutText(receipt, state.draws)}</p>`
  }${
    !isComplete
    && html`<p class="notice" role="status">Reading the trace: ${percent} %. The numbers below grow until it is read. <progress max="100" value="${percent}">${percent} %</progress></p>`
  }`
}

export const overview = (data: RunData, links: Links) => {
  const { firstMiss, forks, info, prompts, races, state } = data
  const { receipt } = info
  if (receipt === undefined) return undefined
  const href = (query: Query) => links.run(info.id, query)
  const card = (name: string, n: number, more: string, query?: Query) => {
    const content = html`<span class="label">${name}</span><span class="number">${
      count(n)
    }</span><span class="more">${more}</span>`
    const target = query && n > 0 ? href(query) : undefined
    return target === undefined
      ? html`<li class="card ${name} ${n === 0 && "zero"}">${content}</li>`
      : html`<li class="card ${name}"><a href="${target}#asked">${content}</a></li>`
  }
  const spent = receipt.inputTokens + receipt.outputTokens
  const replayed = receipt.replayedInputTokens + receipt.replayedOutputTokens
  return html`<ul class="cards">
${card("asked", receipt.asked, plural(state.prompts, "prompt"), {})}
${
    card("replayed", receipt.replayed, receipt.reread > 0 ? `${count(receipt.reread)} read again` : "from the cache", {
      outcome: "replayed"
    })
  }
${card("bought", receipt.bought, `${count(spent)} tokens spent`, { outcome: "bought" })}
${card("missed", receipt.missed, "not in the cache", { outcome: "missed" })}
${card("racing", receipt.racing, "order not certain", { outcome: "racing" })}
${card("bypassed", receipt.bypassed, "by no cache", { outcome: "bypassed" })}
${receipt.failed > 0 && card("failed", receipt.failed, "requests without an answer", { outcome: "failed" })}
</ul>
${
    firstMiss && html`<div class="block alert"><h2>The first miss</h2>
<p>${firstMiss.draw.number !== undefined && html`Request ${count(firstMiss.draw.number)}: `}${
      modelLabel(firstMiss.draw.key.identity)
    }, position ${firstMiss.draw.position}${
      firstMiss.draw.key.path.length > 0 && html`, fork ${forkLabel(firstMiss.draw.key.path)}`
    }</p>
${
      firstMiss.explanation !== undefined
        ? explanationView(firstMiss.explanation)
        : firstMiss.problem === undefined
        ? html`<p class="faint" role="status">Comparing it with the prompts of the cache …</p>`
        : html`<p>Why it missed is not known, because the cache cannot be read.</p>`
    }
${
      links.miss(info.id, firstMiss.draw.row) !== undefined
      && html`<p class="actions"><a href="${
        links.miss(info.id, firstMiss.draw.row)
      }">Explain it, and the misses that follow</a></p>`
    }</div>`
  }
${
    races.length > 0 && html`<div class="block alert"><h2>Races</h2>
<p>${codeText(raceAdvice(data)!)}</p>
${
      table(
        "Races",
        ["Draws", "Fork", "Positions", "Prompt"],
        races.map(({ one, other }) =>
          html`<tr><td>${one && html`${nameOfDraw(one)} and `}${nameOfDraw(other)}</td><td>${
            forkText(forkLabel(other.key.path))
          }</td><td>${one && html`${one.position} and `}${other.position}</td><td>${
            promptLink(other, links, info.id)
          }</td></tr>
`
        )
      )
    }${
      receipt.racing > races.length
      && html`<p class="actions">${link(href({ outcome: "racing" }), `All ${count(receipt.racing)} racing draws`)}</p>`
    }</div>`
  }
<div class="block"><h2>Tokens over time</h2>
${
    spent + replayed === 0
      ? html`<p class="faint">No tokens so far.</p>`
      : html`${tokenChart(state)}<p class="faint">${count(spent)} spent (${count(receipt.inputTokens)} in, ${
        count(receipt.outputTokens)
      } out), ${count(replayed)} replayed (${count(receipt.replayedInputTokens)} in, ${
        count(receipt.replayedOutputTokens)
      } out)</p>`
  }</div>
${
    state.passed.length > 0 && html`<div class="block"><h2>Passed on</h2>
<p>Requests that the server does not cache went to its upstream, and a replay would send them again.</p>
${
      table(
        "Passed on",
        ["Request", numeric("Status"), numeric("Count")],
        state.passed.map(({ count: n, method, path, status }) =>
          html`<tr><td class="wide"><code>${method} ${path}</code></td><td class="n">${status}</td><td class="n">${
            count(n)
          }</td></tr>
`
        )
      )
    }</div>`
  }
<div class="columns">
<div class="block"><h2>Prompts that cost most</h2>
${
    prompts.length === 0
      ? html`<p class="faint">Nothing was asked so far.</p>`
      : table(
        "Prompts that cost most",
        ["Prompt", numeric("Asked"), numeric("Spent"), numeric("Replayed")],
        prompts.map((prompt) =>
          html`<tr><td class="wide">${
            link(
              links.prompt(prompt, { run: info.id }),
              prompt.excerpt ?? prompt.promptHash.slice(0, 8),
              { class: "excerpt" }
            )
          }<span class="faint">${modelLabel(prompt.identity)}${
            prompt.forks > 1 && html`, ${plural(prompt.forks, "fork")}`
          }</span></td><td class="n" data-name="asked">${counted(prompt.asked)}</td><td class="n" data-name="spent">${
            counted(prompt.spentTokens)
          }</td><td class="n" data-name="replayed">${counted(prompt.replayedTokens)}</td></tr>
`
        ),
        { isStacked: true }
      )
  }</div>
<div class="block"><h2>Forks</h2>
${
    forks.inside.length === 0
      ? html`<p class="faint">The run has no forks: its draws share one sequence for each prompt.</p>`
      : forksView(forks, (path) => {
        const target = href({ fork: forkLabel(path) })
        return target && `${target}#asked`
      })
  }</div>
</div>`
}

const nameOfDraw = ({ number, outcome }: Draw) =>
  number === undefined ? html`a ${outcome} request` : html`request ${count(number)}`

export const promptLink = ({ excerpt, key, position }: DrawRow, links: Links, run: string) =>
  link(
    links.prompt(key, { run, from: position >= 100 ? Math.floor(position / 100) * 100 : undefined }),
    excerpt ?? key.promptHash.slice(0, 8),
    { class: "excerpt" }
  )
