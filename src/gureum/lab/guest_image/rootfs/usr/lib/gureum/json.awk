# Flattens one JSON document (RFC 8259): a line "path<TAB>value" for each scalar, path elements joined by "/". Newlines and tabs
# inside strings become spaces; \u escapes beyond ASCII become "?".

function token() {
    sub(/^[ \t\r\n]+/, "", text)
    if (!match(text, /^("([^"\\]|\\.)*"|[][{},:]|[^][ \t\r\n{},:"]+)/)) exit 1
    word = substr(text, 1, RLENGTH)
    text = substr(text, RLENGTH + 1)
}

function plain(quoted,    out, at, code) {
    quoted = substr(quoted, 2, length(quoted) - 2)
    while (at = index(quoted, "\\")) {
        out = out substr(quoted, 1, at - 1)
        code = substr(quoted, at + 1, 1)
        quoted = substr(quoted, at + 2)
        if (code == "u") {
            code = substr(quoted, 1, 4)
            quoted = substr(quoted, 5)
            out = out (code ~ /^00[2-7]/ ? sprintf("%c", 16 * substr(code, 3, 1) + \
                index("123456789abcdef", tolower(substr(code, 4, 1)))) : "?")
        } else out = out (code ~ /[nrtbf]/ ? " " : code)
    }
    return out quoted
}

function value(path,    key, count, first) {
    token()
    if (word == "{") {
        for (first = 1; ; first = 0) {
            token()
            if (word == "}") return
            if (!first) token()
            key = plain(word)
            token()
            value(path "/" key)
        }
    } else if (word == "[") {
        for (count = 0; ; count++) {
            sub(/^[ \t\r\n]+/, "", text)
            if (substr(text, 1, 1) == "]") { token(); return }
            if (count) token()
            value(path "/" count)
        }
    } else print path "\t" (word ~ /^"/ ? plain(word) : word)
}

{ text = text $0 "\n" }
END { value("") }
