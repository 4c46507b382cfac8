// Prints the version that the headers claim.
#include <kaio/kaio.hpp>

#include <cstdio>

int main() {
    kaio::aligned_buffer const buffer(4096, 4096);
    if (buffer.size() != 4096) return 1;
    std::printf("%d.%d.%d\n", KAIO_VERSION_MAJOR, KAIO_VERSION_MINOR, KAIO_VERSION_PATCH);
}
