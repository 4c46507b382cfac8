// replay FOLDER: the main function of a fuzz target without libFuzzer. It runs every file in the folder once. A failure
// aborts.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char* argv[]) {
    if (argc != 2) return 2;
    std::vector<std::filesystem::path> inputs;
    for (auto const& entry : std::filesystem::directory_iterator(argv[1])) inputs.push_back(entry.path());
    std::sort(inputs.begin(), inputs.end());
    for (auto const& input : inputs) {
        std::fprintf(stderr, "%s\n", input.c_str()); // the last one printed is the one that failed
        std::ifstream file(input, std::ios::binary);
        std::vector<char> const bytes{std::istreambuf_iterator<char>(file), {}};
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::printf("%zu passed, %d failed, 0 skipped\n", inputs.size(), inputs.empty() ? 1 : 0);
    return inputs.empty();
}
