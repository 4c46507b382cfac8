// Submits a buffer that was freed: AddressSanitizer must say so, although only the kernel would touch it.
#include <cstdlib>
#include <span>

#include <kaio/kaio.hpp>

int main() {
    char* const buffer = static_cast<char*>(std::malloc(64));
    kaio::loop loop(4);
    loop.submit(kaio::read(0, std::span(buffer, 64), 0), [](kaio::io_result) {});
    std::free(buffer);
    loop.run();
}
