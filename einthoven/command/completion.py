"""Completion of the command line in a shell: commands, keys, groups with their options, from the YAML files alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from einthoven.command.help import find_options, read_page, sections

SCRIPTS = {
    "bash": """\
_einthoven() {
    local line="${COMP_LINE:0:COMP_POINT}" words word
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current="${words[${#words[@]}-1]}"
    COMPREPLY=()
    while IFS= read -r word; do
        [[ $word == *= ]] && compopt -o nospace 2>/dev/null
        # where = separates words, as it does by default, bash wants what follows it alone
        [[ $COMP_WORDBREAKS == *=* ]] && word="${word#"${current%"${current##*=}"}"}"
        COMPREPLY+=("$word")
    done < <("${words[0]}" --complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _einthoven einthoven
""",
    "zsh": """\
#compdef einthoven
_einthoven() {
    local -a found open
    found=("${(@f)$("${words[1]}" --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    open=(${(M)found:#*=})
    found=(${found:#*=})
    compadd -S '' -a open
    compadd -a found
}
compdef _einthoven einthoven
""",
    "fish": """\
complete -c einthoven -f -a '(einthoven --complete (commandline -opc)[2..-1] (commandline -ct))'
""",
}
"""What a shell has to read, by its name."""


def complete(configs: Path, commands: Iterable[str], words: Sequence[str]) -> list[str]:
    """Completes the last word of a command line.

    Args:
        configs: Folder of the YAML files.
        commands: Names of the commands, which are the root files' too, and of those that have none.
        words: Words behind `einthoven`; the last one, perhaps empty, is being written.

    Returns:
        What the last word can become, whole words; one that ends with `=` wants a value.
    """
    *before, current = words or [""]
    if not before:
        return [name for name in sorted({*commands, "--version", "--help"}) if name.startswith(current)]
    file = configs / f"{before[0]}.yaml"
    if not file.is_file():
        return []
    page = read_page(file)
    options = {group: find_options(configs, before[0], group) for group in page.defaults}
    for word in before[1:]:
        group, _, option = word.partition("=")
        if option in options.get(group, ()):
            page.defaults[group] = option
    group, has_value, _ = current.partition("=")
    if has_value:
        found = [f"{group}={option}" for option in options.get(group, ())]
    else:
        keys = [key.path for _, part in sections(configs, page) for key in part]
        choices = [group for group, names in options.items() if len(names) > (group != "experiment")]
        found = [f"{name}=" for name in (*choices, *keys)] + ["--help", "--cfg", "--multirun"]
    return [word for word in dict.fromkeys(found) if word.startswith(current)]
