#include "agent/server/transport/tls_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace signalbox::server {

namespace {

constexpr std::size_t kMostOfFile =
    4 * 1024 * 1024;  ///< a whole system's authorities have a quarter of a megabyte

[[noreturn]] void refuse(std::string_view what, const std::string& file, std::string_view reason) {
    throw std::invalid_argument(
        fmt::format("TLS {} '{}': {}; give a PEM file that the workers may read", what, file, reason));
}

std::string read_file(std::string_view what, const std::string& file) {
    if (file.empty())
        throw std::invalid_argument(fmt::format("TLS {}: no file is given; give a PEM file", what));
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) refuse(what, file, std::strerror(errno));
    std::string text;
    char buffer[16 * 1024];
    ssize_t bytes = 0;
    while ((bytes = ::read(descriptor, buffer, sizeof buffer)) > 0 && text.size() <= kMostOfFile)
        text.append(buffer, static_cast<std::size_t>(bytes));
    const int error = bytes < 0 ? errno : 0;
    ::close(descriptor);
    if (error) refuse(what, file, std::strerror(error));
    if (text.size() > kMostOfFile) refuse(what, file, "it is longer than 4 MiB");
    return text;
}

}  // namespace

TlsFiles read_tls_files(const TlsOptions& options) {
    TlsFiles files{.certificate = read_file("certificate", options.certificate),
                   .key = read_file("key", options.key),
                   .client_authority = {}};
    if (options.client_certificates != ClientCertificates::none)
        files.client_authority = read_file("client authority", options.client_authority);
    return files;
}

struct LastGoodFiles::Place {
    std::atomic<std::uint64_t> number{0};  ///< of the record, from 1 on; 0: none, or being written
    std::uint64_t checksum = 0;
    std::array<std::uint32_t, 3> sizes{};  ///< of the three files, which follow each other
    std::array<char, kMost> bytes{};
};

struct LastGoodFiles::Shared {
    static constexpr std::size_t kPlaces = 4;
    std::atomic<std::uint64_t> claimed{0};
    std::array<Place, kPlaces> places{};
};

namespace {

/// FNV-1a: this is against halves of records, not against anybody.
template <class Sizes>
std::uint64_t checksum_of(const Sizes& sizes, std::string_view bytes) {
    std::uint64_t sum = 0xcbf29ce484222325;
    const auto add = [&sum](unsigned value) { sum = (sum ^ value) * 0x100000001b3; };
    for (const std::uint32_t size : sizes)
        add(size);
    for (const char byte : bytes)
        add(static_cast<unsigned char>(byte));
    return sum;
}

}  // namespace

LastGoodFiles::LastGoodFiles() {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "memory for the certificates of TLS");
    ::madvise(memory, sizeof(Shared), MADV_DONTDUMP);  // a core file is not to hold the key
    shared_ = static_cast<Shared*>(memory);  // zeros are what it begins with; no page is touched for that
}

LastGoodFiles::~LastGoodFiles() {
    ::munmap(shared_, sizeof(Shared));
}

void LastGoodFiles::keep(const TlsFiles& files) {
    const std::string all = files.certificate + files.key + files.client_authority;
    if (all.size() > kMost || newest() == files) return;
    const std::uint64_t number = shared_->claimed.fetch_add(1) + 1;
    Place& place = shared_->places[number % Shared::kPlaces];
    place.number.store(0);
    place.sizes = {static_cast<std::uint32_t>(files.certificate.size()),
                   static_cast<std::uint32_t>(files.key.size()),
                   static_cast<std::uint32_t>(files.client_authority.size())};
    std::memcpy(place.bytes.data(), all.data(), all.size());
    place.checksum = checksum_of(place.sizes, all);
    place.number.store(number);
}

std::optional<TlsFiles> LastGoodFiles::read(const Place& place) {
    const auto sizes = place.sizes;
    if (std::size_t{sizes[0]} + sizes[1] + sizes[2] > kMost) return std::nullopt;
    const std::string all(place.bytes.data(), std::size_t{sizes[0]} + sizes[1] + sizes[2]);
    if (checksum_of(sizes, all) != place.checksum) return std::nullopt;
    return TlsFiles{.certificate = all.substr(0, sizes[0]),
                    .key = all.substr(sizes[0], sizes[1]),
                    .client_authority = all.substr(std::size_t{sizes[0]} + sizes[1])};
}

std::optional<TlsFiles> LastGoodFiles::newest() const {
    std::optional<TlsFiles> newest;
    std::uint64_t newest_number = 0;
    for (const Place& place : shared_->places) {
        const std::uint64_t number = place.number.load();
        if (number <= newest_number) continue;
        if (auto files = read(place)) {
            newest = std::move(files);
            newest_number = number;
        }
    }
    return newest;
}

}  // namespace signalbox::server
