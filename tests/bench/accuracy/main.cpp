// The errors of the sketches beside those that they promise. Exits with 1 if a promise is broken.
#include <exception>
#include <iostream>

#include "tests/bench/accuracy/accuracy.hpp"

int main() {
    try {
        bool kept = bench::check_quantiles(std::cout);
        kept = bench::check_distinct(std::cout) && kept;
        kept = bench::check_heavy_hitters(std::cout) && kept;
        return kept ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "bench_accuracy: " << error.what() << '\n';
        return 1;
    }
}
