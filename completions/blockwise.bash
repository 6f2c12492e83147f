# Completion of blockwise in bash. The program itself says what may stand there (`blockwise --complete WORD...`).

_blockwise() {
    # bash splits words at '=' and ':'; put together again what the line has without a space between.
    local left=${COMP_LINE:0:COMP_POINT} words=() token trimmed i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        token=${COMP_WORDS[i]}
        trimmed=${left#"${left%%[![:space:]]*}"}
        [ "$i" -lt "$COMP_CWORD" ] || token=$trimmed # the last word: as far as the cursor
        if [ "$i" -gt 0 ] && [ "$trimmed" = "$left" ]; then
            words[${#words[@]}-1]+=$token
        else
            words+=("$token")
        fi
        left=${trimmed#"$token"}
    done

    # Of the last word bash replaces only what stands behind the last of these.
    local word=${words[${#words[@]}-1]} kept=
    case $COMP_WORDBREAKS in *=*) case $word in *=*) kept=${word%=*}= ;; esac ;; esac

    local offered help
    COMPREPLY=()
    while IFS=$'\t' read -r offered help; do
        if [ "$offered" = :files ]; then
            compopt -o default 2>/dev/null # names of files, as readline completes them
        else
            case $offered in *[=,.]) compopt -o nospace 2>/dev/null ;; esac
            COMPREPLY+=("${offered#"$kept"}")
        fi
    done < <("${COMP_WORDS[0]/#\~/$HOME}" --complete "${words[@]:1}" 2>/dev/null)
}
complete -F _blockwise blockwise
