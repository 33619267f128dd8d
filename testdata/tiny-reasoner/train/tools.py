"""Tool calls, and answers to what tools gave."""

import json
import re

from samples import Sample
from stock import CITIES, COUNTRIES, LANGUAGES, NAMES
from talk import Talk


class Tools(Talk):
    # -------------------------------------------------- (5) tools

    # family: (names, descriptions, [(parameter names, type, kind of value)], questions)
    TOOLS = {
        "weather": (
            ["get_weather", "weather", "getWeather", "fetch_weather", "current_weather", "weather_lookup", "get_current_weather"],
            ["Get the weather for a city", "Get current weather", "Current weather at a place", "Weather report"],
            [(["city", "location", "place", "town"], "string", "city")],
            ["What is the weather in {0}?", "What's the weather like in {0}?", "How is the weather in {0} today?", "Is it raining in {0}?", "Weather in {0}?", "Tell me the weather in {0}.", "{0} 的天气怎么样?"],
        ),
        "time": (
            ["get_time", "current_time", "time_in", "getTime", "clock", "get_current_time"],
            ["Get the local time", "Current time in a city", "Tell the time at a place"],
            [(["city", "place", "location", "zone"], "string", "city")],
            ["What time is it in {0}?", "Tell me the time in {0}.", "What is the local time in {0}?", "Current time in {0}?"],
        ),
        "stock": (
            ["get_stock_price", "stock_price", "quote", "getQuote", "stock_lookup"],
            ["Get a stock price", "Latest share price", "Price of a stock"],
            [(["symbol", "ticker", "stock"], "string", "ticker")],
            ["What is the stock price of {0}?", "How much is a share of {0}?", "Price of {0}?", "Get the share price of {0}."],
        ),
        "search": (
            ["search", "web_search", "searchWeb", "find_pages", "lookup", "google"],
            ["Search the web", "Find web pages", "Look something up"],
            [(["query", "q", "text", "keywords"], "string", "phrase")],
            ["Search for {0}.", "Search the web for {0}.", "Look up {0}.", "Find pages about {0}.", "Please search {0}"],
        ),
        "timer": (
            ["set_timer", "start_timer", "timer", "setTimer", "countdown"],
            ["Start a timer", "Set a countdown in minutes", "Start a countdown"],
            [(["minutes", "mins", "duration"], "integer", "count")],
            ["Set a timer for {0} minutes.", "Start a {0} minute timer.", "Count down {0} minutes.", "Timer for {0} minutes, please."],
        ),
        "user": (
            ["get_user", "find_user", "user_info", "getUser", "load_profile"],
            ["Load a user profile", "Find a user by number", "Get user details"],
            [(["user_id", "id", "userId", "number"], "integer", "id")],
            ["Who is user {0}?", "Show me user {0}.", "Load the profile of user {0}.", "Find user {0}."],
        ),
        "order": (
            ["track_order", "order_status", "get_order", "findOrder"],
            ["Status of an order", "Track an order", "Find an order by number"],
            [(["order_id", "order", "id"], "integer", "id")],
            ["Where is order {0}?", "What is the status of order {0}?", "Track order {0}.", "Has order {0} been sent?"],
        ),
        "translate": (
            ["translate", "translate_text", "translator", "to_language"],
            ["Translate a text", "Translate words into a language"],
            [(["text", "words", "phrase"], "string", "phrase"), (["language", "lang", "target", "to"], "string", "language")],
            ["Translate '{0}' into {1}.", "Translate {0} to {1}.", "How do you say '{0}' in {1}?", "Say {0} in {1}."],
        ),
        "population": (
            ["get_population", "population", "country_population", "count_people"],
            ["Population of a country", "How many people live in a country"],
            [(["country", "nation", "place"], "string", "country")],
            ["How many people live in {0}?", "What is the population of {0}?", "Population of {0}?"],
        ),
        "multiply": (
            ["multiply", "mul", "product", "times", "calculator"],
            ["Multiply two numbers", "Product of two numbers"],
            [(["a", "x", "first"], "number", "number"), (["b", "y", "second"], "number", "number")],
            ["What is {0} times {1}?", "Multiply {0} by {1}.", "What is {0}*{1}?", "{0} x {1}?", "Compute the product of {0} and {1}."],
        ),
        "add": (
            ["add", "sum", "add_numbers", "plus"],
            ["Add two numbers", "Sum of two numbers"],
            [(["a", "x", "first"], "number", "number"), (["b", "y", "second"], "number", "number")],
            ["Use the tool to add {0} and {1}.", "Add {0} and {1} with the tool.", "Call the tool to compute {0} + {1}."],
        ),
        "distance": (
            ["get_distance", "distance", "route_length", "how_far"],
            ["Distance between two cities", "Length of a route"],
            [(["from", "start", "origin"], "string", "city"), (["to", "end", "destination"], "string", "city")],
            ["How far is it from {0} to {1}?", "What is the distance from {0} to {1}?", "How long is the way from {0} to {1}?"],
        ),
        "music": (
            ["play_music", "play_song", "play", "music_player"],
            ["Play a song", "Play music by title"],
            [(["title", "song", "name"], "string", "phrase")],
            ["Play {0}.", "Play the song {0}.", "I want to hear {0}.", "Put on {0}."],
        ),
        "light": (
            ["turn_on_light", "light_on", "switch_light", "lights"],
            ["Turn on a light", "Switch a lamp on"],
            [(["room", "place", "where"], "string", "room")],
            ["Turn on the light in the {0}.", "Switch on the lamp in the {0}.", "Light in the {0}, please."],
        ),
        "email": (
            ["send_email", "send_message", "mail", "notify"],
            ["Send a message", "Send an email to a person"],
            [(["to", "recipient", "person"], "string", "name"), (["text", "body", "message"], "string", "phrase")],
            ["Send {0} the message '{1}'.", "Tell {0}: {1}", "Write to {0}: '{1}'.", "Message {0} saying {1}."],
        ),
        "currency": (
            ["convert_currency", "exchange", "convert", "to_currency"],
            ["Convert dollars", "Convert money to another currency"],
            [(["amount", "value", "dollars"], "number", "number"), (["currency", "to", "target"], "string", "ticker")],
            ["Convert {0} dollars to {1}.", "How much is {0} dollars in {1}?", "Exchange {0} dollars into {1}."],
        ),
    }  # fmt: skip
    RESULT_KEYS = "result status value temperature condition price time name city total count message state speed level unit".split()
    RESULT_WORDS = "sunny cloudy rainy done sent ok late open closed ready shipped on off warm cold active found".split()

    def value(self, kind: str):
        if kind == "city":
            return self.proper(CITIES)
        if kind == "country":
            return self.proper(COUNTRIES)
        if kind == "name":
            return self.proper(NAMES)
        if kind == "ticker":
            return "".join(self.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(self.rng.randint(2, 4)))
        if kind == "phrase":
            return " ".join(self.word(8) for _ in range(self.rng.randint(1, 3)))
        if kind == "language":
            return self.pick(LANGUAGES)
        if kind == "room":
            return self.pick("kitchen bedroom hall garage bathroom garden office cellar attic".split() + [self.word(8)])
        if kind == "count":
            return self.rng.randint(1, 90)
        if kind == "id":
            return self.number(5)
        return self.number(3)

    def identifier(self) -> str:
        first, second = self.word(7), self.word(7)
        return self.pick([first, f"{first}_{second}", f"{first}{second.capitalize()}", f"{first}_{self.rng.randint(1, 9)}"])

    def tool_family(self, family: str) -> dict:
        names, descriptions, params, questions = self.TOOLS[family]
        name = self.pick(names) if self.chance(0.75) else self.identifier()
        args = {}
        for keys, kind, value in params:
            args[self.pick(keys) if self.chance(0.85) else self.identifier()] = (kind, self.value(value))
        question = self.pick(questions).format(*(v for _, v in args.values()))
        return self.tool_entry(name, self.pick(descriptions), args, question)

    def tool_any(self) -> dict:
        """A tool with a made-up name, asked for by that name."""
        name, args = self.identifier(), {}
        for _ in range(self.rng.randint(1, 2)):
            kind = self.pick(["string", "string", "integer", "number"])
            value = self.value(self.pick(["city", "phrase", "ticker", "name"]) if kind == "string" else "id")
            args[self.identifier() if self.chance(0.6) else self.pick("a b x y n key value text name input".split())] = (kind, value)
        quote = lambda v: f"'{v}'" if isinstance(v, str) and self.chance(0.6) else str(v)
        listed = self.pick([" and ", ", "]).join(f"{k}{self.pick(['=', ' ', ' = '])}{quote(v)}" for k, (_, v) in args.items())
        question = self.pick(["Call {n} with {l}.", "Use {n} with {l}.", "Use the tool {n} with {l}.", "Run {n} with {l}", "Please call {n} with {l}."])
        description = self.pick(["", "A test tool", "Custom tool", f"Handle {self.word(8)}", f"Find {self.word(8)} by {self.word(8)}"])
        return self.tool_entry(name, description, args, question.format(n=name, l=listed))

    def tool_entry(self, name, description, args, question) -> dict:
        properties = {}
        for key, (kind, _) in args.items():
            properties[key] = {"type": kind}
            if self.chance(0.25):
                properties[key]["description"] = self.pick([f"The {key}", key.capitalize(), f"{key} to use"])
        parameters = {"type": "object", "properties": properties}
        if self.chance(0.6):
            parameters["required"] = list(properties)
        function = {"name": name, "description": description, "parameters": parameters}
        if not description:
            del function["description"]
        return {
            "schema": {"type": "function", "function": function},
            "name": name,
            "arguments": {k: v for k, (_, v) in args.items()},
            "question": question,
        }

    def tool_result(self) -> tuple[str, str]:
        """(what the tool returns, how the answer words it)"""
        if self.chance(0.4):
            n = self.number(4)
            text = self.pick([
                f"{self.pick(self.RESULT_WORDS).capitalize()}, {n} degrees", f"{n}", f"{self.pick(self.RESULT_WORDS)}", f"{n} {self.word(7)}",
                f"{self.proper(NAMES)}, {self.proper(CITIES)}", f"{self.word(8)} {self.word(8)}", f"{self.rng.randint(0, 23)}:{self.rng.randint(10, 59)}",
                f"The {self.word(7)} is {self.pick(self.RESULT_WORDS)}",
            ])  # fmt: skip
            return text, text
        result = {}
        for _ in range(self.rng.randint(1, 3)):
            key = self.pick(self.RESULT_KEYS) if self.chance(0.8) else self.word(7)
            result[key] = self.pick([self.number(4), self.number(2), self.pick(self.RESULT_WORDS), self.word(8), self.proper(NAMES), f"{self.number(2)}.{self.number(1)}"])
        return json.dumps(result), ", ".join(f"{k} = {v}" for k, v in result.items())

    def tool_call(self) -> Sample:
        family = self.pick(list(self.TOOLS))
        wanted = self.tool_any() if self.chance(0.2) else self.tool_family(family)
        entries = [wanted]
        if self.chance(0.4):  # a second tool, of another family
            other = self.tool_any() if self.chance(0.25) else self.tool_family(self.pick([f for f in self.TOOLS if f != family]))
            if other["name"] != wanted["name"]:
                entries.append(other)
                self.rng.shuffle(entries)
        tools = [e["schema"] for e in entries]
        system = self.system()

        what = self.rng.random()
        if what < 0.15:  # tools are there, but the question does not need one, or none of them helps
            kind = self.rng.random()
            if kind < 0.45:
                turn = self.task(self.pick(["count", "compare", "arithmetic", "reverse"]))
            elif kind < 0.75:
                turn = self.small_talk()
            else:
                turn = self.out_of_scope()
                while re.search(r"weather|time|ranslate|\*|Multiply|Tell|翻译|天气|乘", turn["question"]):
                    turn = self.out_of_scope()
            return self.finish(turn, system, tools)

        user = {"role": "user", "content": wanted["question"]}
        call = {"name": wanted["name"], "arguments": wanted["arguments"]}
        call_text = f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
        listed = ", ".join(f"{k} = {v}" for k, v in wanted["arguments"].items())
        call_thought = f"The tool {wanted['name']} fits this request. Its arguments: {listed}."
        if what < 0.62:
            history = self.history(1) if self.chance(0.08) else []
            return Sample("tool_call", system + history + [user], call_thought, call_text, tools)

        result, wording = self.tool_result()
        assistant = {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0", "type": "function", "function": call}]}
        if self.chance(0.6):
            assistant["reasoning_content"] = call_thought
        messages = system + [user, assistant, {"role": "tool", "tool_call_id": "call_0", "content": result}]
        thought = "The tool has answered, so I do not need another call. I tell the user its result."
        return Sample("tool_answer", messages, thought, f"The result is: {wording}.", tools)
