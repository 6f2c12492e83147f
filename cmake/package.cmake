# Debian packages, by `cpack` in the build folder: blockwise (program, shared library, recipes, manual, completion),
# libblockwise-dev and python3-blockwise. Configure with the preset `deb` for libraries where Debian has them.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME blockwise)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program dev python)
set(CPACK_DEB_COMPONENT_INSTALL ON)
# Who makes the package, as Debian's own tools ask it.
if(DEFINED ENV{DEBEMAIL})
  set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
else()
  set(CPACK_PACKAGE_CONTACT "The blockwise maintainers <maintainers@blockwise.invalid>")
endif()

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME blockwise)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS "openmpi-bin, python3-numpy")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # it would come before the first lines below
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION
"self-supervised pretraining of vision networks, block by block
Pretrains residual networks from unlabelled images on ordinary processors,
block by block: every block has its own head and loss, and no gradient leaves
a block. Also measures what each block learnt, fine-tunes, and writes networks
for other programs. Runs on several machines over MPI.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libblockwise-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "blockwise (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_DEV_DESCRIPTION
"self-supervised pretraining of vision networks - development files
Headers and libraries for programs that pretrain networks block by block, or
compute features with them, through the interface of blockwise in C.")

set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-blockwise)
set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "blockwise (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), python3, python3-numpy")
set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/prerm)
set(CPACK_DEBIAN_PYTHON_DESCRIPTION
"self-supervised pretraining of vision networks - Python module
A thin module over the library of blockwise, with NumPy's arrays: networks that
were pretrained block by block, and features of images.")

# What Debian wants beside the files that are installed anywhere.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/debian_files.cmake)
set(CPACK_BW_SOURCE ${CMAKE_SOURCE_DIR})
set(CPACK_BW_DATE ${BW_DATE})
include(CPack)
