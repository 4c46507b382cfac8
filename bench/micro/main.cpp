#define CATCH_CONFIG_RUNNER // Catch2 2 compiles its implementation here

#include <support/catch.hpp>

int main(int argc, char* argv[]) { return Catch::Session().run(argc, argv); }
