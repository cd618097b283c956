#include "agent/server/transport/tls_server.hpp"

#include <exception>
#include <utility>

#include "agent/telemetry/seat.hpp"

namespace signalbox::server {

bool TlsServer::Stamp::operator==(const Stamp& other) const {
    return device == other.device && inode == other.inode && size == other.size &&
           modified.tv_sec == other.modified.tv_sec && modified.tv_nsec == other.modified.tv_nsec;
}

/// The stamps are taken before the files are read: what changes in between is seen a second later.
TlsServer::TlsServer(const TlsOptions& options, TicketKeys& keys, LastGoodFiles& last_good)
    : options_(options),
      keys_(keys),
      last_good_(last_good),
      state_(options),
      seen_(stamps()),
      judged_(seen_),
      context_(load_or_fall_back()) {
    keys_.rotate_if_due(telemetry::monotonic_ns());
    while (!state_.renew_tickets(keys_)) {
    }
}

TlsContext TlsServer::load() {
    const TlsFiles files = read_tls_files(options_);
    TlsContext context = make_tls_context(options_, files, state_);
    last_good_.keep(files);
    return context;
}

TlsContext TlsServer::load_or_fall_back() {
    try {
        return load();
    } catch (const std::exception& error) {
        const auto files = last_good_.newest();
        if (!files) throw;
        complaint_ = error.what();
        return make_tls_context(options_, *files, state_);
    }
}

TlsServer::Stamps TlsServer::stamps() const {
    Stamps stamps;
    Stamp* to = stamps.data();
    for (const std::string* file : {&options_.certificate, &options_.key, &options_.client_authority}) {
        struct stat status {};
        if (!file->empty() && ::stat(file->c_str(), &status) == 0)
            *to = {status.st_dev, status.st_ino, status.st_size, status.st_mtim};
        ++to;
    }
    return stamps;
}

TlsServer::Outcome TlsServer::look_after(std::uint64_t now) {
    keys_.rotate_if_due(now);
    state_.renew_tickets(keys_);

    if (!complaint_.empty()) return {Reload::refused, std::exchange(complaint_, {})};
    const Stamps found = stamps();
    const bool still = found == seen_;
    seen_ = found;
    if (!still || found == judged_) return {};
    judged_ = found;
    try {
        context_ = load();
        return {Reload::done, describe_certificate(*context_)};
    } catch (const std::exception& error) {
        return {Reload::refused, error.what()};
    }
}

}  // namespace signalbox::server
