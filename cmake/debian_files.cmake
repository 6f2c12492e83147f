# Run by cpack between installing into its folders, one for each package, and packing them: what Debian's policy
# asks for, with names and forms of its own.
find_program(GZIP gzip REQUIRED)
execute_process(COMMAND date -R -u -d "${CPACK_BW_DATE}" OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
# The paragraph about the library inside of our pages: its lines one space to the right, empty ones as dots.
file(READ ${CMAKE_CURRENT_LIST_DIR}/debian_copyright copyright)
file(READ ${CPACK_BW_SOURCE}/src/report/dygraphs_licence.txt licence)
string(REGEX REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REGEX REPLACE "\n([^\n])" "\n \\1" licence " ${licence}")
string(APPEND copyright "${licence}")

set(packages program=blockwise dev=libblockwise-dev python=python3-blockwise)
foreach(pair ${packages})
  string(REGEX MATCH "^(.*)=(.*)$" pair ${pair})
  set(name ${CMAKE_MATCH_2})
  set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${CMAKE_MATCH_1}/usr)
  set(doc ${usr}/share/doc/${name})
  file(MAKE_DIRECTORY ${doc})
  file(WRITE ${doc}/copyright "${copyright}")
  file(COPY_FILE ${CPACK_BW_SOURCE}/CHANGELOG.md ${doc}/changelog)
  file(WRITE ${doc}/changelog.Debian
"${name} (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * What changed is in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
  file(GLOB_RECURSE pages ${usr}/share/man/*)
  execute_process(COMMAND ${GZIP} -9nf ${doc}/changelog ${doc}/changelog.Debian ${pages} COMMAND_ERROR_IS_FATAL ANY)
  if(EXISTS ${usr}/share/zsh/site-functions)
    file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
  endif()
endforeach()
