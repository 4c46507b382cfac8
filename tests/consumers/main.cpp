// Prints the version that the headers claim.
#include <kaio/version.hpp>

#include <cstdio>

int main() { std::printf("%d.%d.%d\n", KAIO_VERSION_MAJOR, KAIO_VERSION_MINOR, KAIO_VERSION_PATCH); }
