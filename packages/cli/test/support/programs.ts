/** Programs of Python's standard library, which know nothing of llm-cache but its places. */

const ask = `
import json, os, sys, urllib.error, urllib.request

def ask(prompt, place=None):
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    if place:
        headers["llm-cache-place"] = place
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]
`

/** Three votes, and the winner. */
export const vote = `${ask}
votes = [ask("Yes or no?") for _ in range(3)]
print(votes, max(set(votes), key=votes.count))
`

/** Attempts that repeat their own draws, until one of them is even. */
export const agenticRetry = `${ask}
for attempt in range(10):
    place = f"/repeatable/attempt-{attempt}"
    number = ask("A number?", place)
    again = ask("A number?", place)
    advice = ask(f"Is {number} even?", place)
    print(attempt, number, again, advice)
    if advice == "yes":
        break
`

/** Asks, and takes every failure for an answer. */
export const swallowing = `${ask}
for prompt in ["Yes or no?", "A new question, please?", "Yes or no?"]:
    try:
        print(ask(prompt))
    except urllib.error.HTTPError as error:
        print("failed", error.code)
`

export const asking = `${ask}
print(ask(sys.argv[1]))
`
