#compdef kaio-bench kaio-probe
# Completion for zsh. What there is to complete is what the program's own --help says.
local line name
local -a specifications values
for line in ${(M)${(f)"$($words[1] --help 2>/dev/null)"}:#  -*}; do
    values=()
    [[ $line == *:{*}* ]] && values=(${(s:,:)${line#*\{}%%\}*})
    for name in ${(s:,:)${line[(w)1]}}; do
        if (( $#values )); then
            specifications+=("$name=: :_sequence compadd - $values")
        elif [[ ${line[(w)2]} == [A-Z]##* ]]; then
            specifications+=("$name=: :_files")
        else
            specifications+=($name)
        fi
    done
done
_arguments $specifications '*: :_files'
