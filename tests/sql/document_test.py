"""docs/sql.md is made from the gate's own tables: this test holds it to them.

    document_test.py --update      writes it anew
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.scratch_server import ROOT, ScratchServer  # noqa: E402

DOCUMENT = ROOT / "docs" / "sql.md"
MARK = "<!-- below this line the text is made by tests/sql/document_test.py --update -->\n"
SOURCES = {"R": "recorded", "D": "documented", "S": "tool source", "?": "pattern"}


def table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
    return f"## {title}\n\n" + line(head) + line(["---"] * len(head)) + "".join(map(line, rows)) + "\n"


def generated(rules: list[tuple]) -> str:
    def chosen(test):
        return [rule for rule in rules if test(rule)]

    def refusals(chosen_rules):
        return [(area, sql, state, f"`{message}`", SOURCES[source])
                for area, sql, _, state, message, source in chosen_rules]

    taken = chosen(lambda rule: rule[2].startswith("taken") and rule[0] in ("statement", "ALTER TABLE"))
    objects = {}
    for area, sql, answer, *_ in rules:
        if answer == "taken" and area not in ("statement", "ALTER TABLE", "column type", "SET"):
            objects.setdefault(area, []).append(sql)
    out = table("Statements that are taken", ("statement", "form"), [(rule[0], rule[1]) for rule in taken])
    out += table("Objects that a verb takes", ("verb", "objects"),
                 [(verb, ", ".join(names)) for verb, names in sorted(objects.items())])
    out += table("Column types", ("type", "in a key"),
                 [(rule[1], "no" if "not in a key" in rule[2] else "yes")
                  for rule in chosen(lambda rule: rule[0] == "column type")])
    out += table("Settings that a session may set", ("setting",),
                 [(rule[1],) for rule in sorted(chosen(lambda rule: rule[0] == "SET" and rule[2] == "taken"))])
    out += table("Limits", ("what", "limit", "SQLSTATE", "text", "source"),
                 [(rule[1], rule[2], rule[3], f"`{rule[4]}`", SOURCES[rule[5]])
                  for rule in chosen(lambda rule: rule[0] == "limit")])
    head = ("where", "what", "SQLSTATE", "text", "source")
    out += table("Not yet", head, refusals(chosen(lambda rule: rule[2] == "not yet")))
    out += table("Refused", head, refusals(chosen(lambda rule: rule[2] == "refused")))
    return out.rstrip("\n") + "\n"


def rules() -> list[tuple]:
    with ScratchServer() as server, server.connect() as owner:
        return owner.execute("SELECT * FROM sys.gate_rules()").fetchall()


def test_document_is_what_the_gate_does():
    assert DOCUMENT.read_text().split(MARK)[1] == generated(rules())


if __name__ == "__main__":
    DOCUMENT.write_text(DOCUMENT.read_text().split(MARK)[0] + MARK + generated(rules()))
