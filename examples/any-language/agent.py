"""An agent of Python's standard library: an attempt repeats its own draws, and the next attempt gets others.

    llm-cache run -- python3 agent.py
"""

import json
import os
import urllib.request

QUESTION = "Choose a number between 1 and 1000. Answer with the number alone."


def ask(prompt, place):
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps({"model": os.environ.get("MODEL", "gpt-4o-mini"), "messages": [{"role": "user", "content": prompt}]}).encode(),
        {
            "content-type": "application/json",
            "authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "none"),
            # The base URL and this header are all that a program says to llm-cache.
            "llm-cache-place": place,
        },
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]


for attempt in range(50):
    place = f"/repeatable/attempt-{attempt}"
    picked = ask(QUESTION, place)
    assert ask(QUESTION, place) == picked, "an attempt repeats its own draws"
    lucky = ask(f"Is {picked} your lucky number? Answer with a number: even for yes, odd for no.", place)
    if int(lucky) % 2 == 0:
        print(f"attempt {attempt}: {picked} is accepted")
        break
    print(f"attempt {attempt}: {picked} is not accepted")
