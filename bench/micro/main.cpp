#define CATCH_CONFIG_RUNNER // Catch2 2 compiles its implementation here

#include "benchmark.hpp"

#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#endif

int main(int argc, char* argv[]) { return Catch::Session().run(argc, argv); }
