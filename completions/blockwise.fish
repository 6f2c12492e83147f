# Completion of blockwise in fish. The program itself says what may stand there (`blockwise --complete WORD...`).

function __blockwise_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l word (commandline --current-token --cut-at-cursor)
    set -l offered ($words[1] --complete $words[2..-1] "$word" 2>/dev/null)
    if test "$offered" = :files
        # Behind --OPTION= the name begins there.
        set -l option (string match --regex -- '^--[^=]*=' $word)
        for name in (__fish_complete_path (string replace --regex -- '^--[^=]*=' '' $word))
            echo "$option$name"
        end
    else
        string join -- \n $offered
    end
end
complete --command blockwise --no-files --arguments '(__blockwise_complete)'
