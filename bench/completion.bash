# Completion for bash. What there is to complete is what the program's own --help says.
_kaio() {
    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} values help
    # For bash, `=` is a word.
    [ "$option" != = ] || option=${COMP_WORDS[COMP_CWORD - 2]}
    [ "$word" != = ] || word=
    help=$("$1" --help 2>/dev/null)
    COMPREPLY=()
    if [[ $option =~ ^--[a-z_]+$ ]]; then
        values=$(sed -nE "s/^  ([^ ]*,)?$option[ ,][^{]*\{([^}]*)\}.*/\2/p" <<<"$help")
    fi
    if [ -n "$values" ]; then
        local before=${word%"${word##*,}"} # of a list, what is there already
        COMPREPLY=($(compgen -P "$before" -W "${values//,/ }" -- "${word##*,}"))
    elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$(grep -oE '^  -[^ ]+' <<<"$help" | tr , '\n')" -- "$word"))
    fi
}
complete -o default -F _kaio kaio-bench kaio-probe
