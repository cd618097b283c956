#include "agent/server/datagram/datagram_service.hpp"

#include <sys/un.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <cerrno>
#include <cstring>

#include "agent/server/address.hpp"
#include "agent/telemetry/segment.hpp"

namespace signalbox::server {

namespace {

constexpr unsigned kBatch = 16;
constexpr int kBatchesPerTurn = 4;  ///< before connections have their turn
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::size_t kControl = 256;

/// The value of a control message, if its type and size are right.
template <class Value>
bool read(const cmsghdr& message, int level, int type, Value& value) {
    if (message.cmsg_level != level || message.cmsg_type != type ||
        message.cmsg_len != CMSG_LEN(sizeof value))
        return false;
    std::memcpy(&value, CMSG_DATA(&message), sizeof value);
    return true;
}

void find_local_address(const cmsghdr& message, LocalAddress& local) {
    if (in_pktinfo v4{}; read(message, IPPROTO_IP, IP_PKTINFO, v4)) {
        local.family = AF_INET;
        std::memcpy(&local.address, &v4.ipi_spec_dst, sizeof v4.ipi_spec_dst);
    } else if (in6_pktinfo v6{}; read(message, IPPROTO_IPV6, IPV6_PKTINFO, v6)) {
        if (IN6_IS_ADDR_MULTICAST(&v6.ipi6_addr)) return;
        local = {.family = AF_INET6, .address = v6.ipi6_addr, .interface = 0};
        if (IN6_IS_ADDR_LINKLOCAL(&v6.ipi6_addr)) local.interface = static_cast<unsigned>(v6.ipi6_ifindex);
    }
}

template <class Value>
void add_control(msghdr& header, int level, int type, const Value& value) {
    header.msg_controllen = CMSG_SPACE(sizeof value);
    cmsghdr& message = *CMSG_FIRSTHDR(&header);
    message.cmsg_level = level;
    message.cmsg_type = type;
    message.cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(&message), &value, sizeof value);
}

}  // namespace

/// Where recvmmsg puts things.
struct DatagramService::Batch {
    explicit Batch(std::size_t largest) : size(largest), bytes(kBatch * largest) {}

    void prepare() {
        for (unsigned i = 0; i < kBatch; ++i) {
            parts[i] = {bytes.data() + i * size, size};
            messages[i].msg_hdr = {};
            messages[i].msg_hdr.msg_name = &peers[i];
            messages[i].msg_hdr.msg_namelen = sizeof peers[i];
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_control = controls[i].data();
            messages[i].msg_hdr.msg_controllen = controls[i].size();
        }
    }

    std::size_t size;
    std::vector<std::byte> bytes;
    std::array<sockaddr_storage, kBatch> peers{};
    std::array<iovec, kBatch> parts{};
    struct alignas(cmsghdr) Control : std::array<char, kControl> {};
    std::array<Control, kBatch> controls{};
    std::array<mmsghdr, kBatch> messages{};
};

DatagramService::DatagramService(WorkerContext& context, std::shared_ptr<DatagramListener> listener)
    : context_(context),
      listener_(std::move(listener)),
      batch_(std::make_unique<Batch>(static_cast<std::size_t>(listener_->options.largest) +
                                     sizeof(ForwardingHeader))) {}

DatagramService::~DatagramService() = default;

unsigned DatagramService::slot_count() const {
    telemetry::Segment& segment = context_.seat.segment();
    const unsigned all = static_cast<unsigned>(listener_->inboxes.size());
    const unsigned target = segment.group().target_workers.load(std::memory_order_relaxed);
    return target == 0 || target > all ? all : target;
}

void DatagramService::start() {
    using How = DescriptorWatch::How;
    socket_.emplace(context_.poller, listener_->socket, How::one_of_many,
                    [this] { receive(listener_->socket, false); });
    const unsigned slot = context_.seat.slot();
    if (slot >= listener_->inboxes.size()) return;
    const int inbox = listener_->inboxes[slot].reader;
    inbox_.emplace(context_.poller, inbox, How::alone, [this, inbox] { receive(inbox, true); });
}

void DatagramService::stop() {
    socket_.reset();
    inbox_.reset();
}

/// Also what somebody else was woken for and did not take, and what waits for slots that are no more.
void DatagramService::look_after(std::uint64_t) {
    if (!socket_) return;
    receive(listener_->socket, false);
    if (!inbox_) return;
    const unsigned in_use = slot_count();
    for (unsigned slot = in_use; slot < listener_->inboxes.size(); ++slot)
        if (slot % in_use == context_.seat.slot())
            while (receive_batch(listener_->inboxes[slot].reader, true) > 0) {
            }
}

/// A good part of what waits; for the rest this is called again.
void DatagramService::receive(int descriptor, bool forwarded) {
    for (int batch = 0; batch < kBatchesPerTurn; ++batch)
        if (receive_batch(descriptor, forwarded) < static_cast<int>(kBatch)) return;
}

/// How many there were. An error is what ICMP says of an answer to somebody: the next call goes on behind it.
int DatagramService::receive_batch(int descriptor, bool forwarded) {
    batch_->prepare();
    int count = -1;
    for (unsigned tries = 0; count < 0 && tries < kBatch; ++tries) {
        count = ::recvmmsg(descriptor, batch_->messages.data(), kBatch, MSG_DONTWAIT, nullptr);
        if (count < 0 && errno == EAGAIN) break;
    }
    for (int i = 0; i < count; ++i) {
        const mmsghdr& message = batch_->messages[static_cast<std::size_t>(i)];
        const auto* begin = static_cast<const std::byte*>(message.msg_hdr.msg_iov->iov_base);
        const std::span bytes(begin, message.msg_len);
        if (forwarded)
            take_forwarded(bytes);
        else
            take(bytes, message.msg_hdr);
    }
    return std::max(count, 0);
}

void DatagramService::take(std::span<const std::byte> bytes, const msghdr& header) {
    DatagramMetrics& metrics = listener_->metrics;
    metrics.received.add();
    DatagramEnds ends;
    ends.peer_size = header.msg_namelen;
    std::memcpy(&ends.peer, header.msg_name, std::min<std::size_t>(header.msg_namelen, sizeof ends.peer));
    if (listener_->family == AF_UNIX && ends.peer_size <= offsetof(sockaddr_un, sun_path))
        ends.peer_size = 0;  // no name
    auto& mutable_header = const_cast<msghdr&>(header);
    for (cmsghdr* message = CMSG_FIRSTHDR(&mutable_header); message;
         message = CMSG_NXTHDR(&mutable_header, message)) {
        find_local_address(*message, ends.local);
        std::uint32_t dropped = 0;
        if (read(*message, SOL_SOCKET, SO_RXQ_OVFL, dropped))
            metrics.shed_kernel.add(listener_->new_drops(dropped));
    }
    if ((header.msg_flags & MSG_TRUNC) ||
        bytes.size() > static_cast<std::uint64_t>(listener_->options.largest))
        return metrics.shed_truncated.add();
    if (listener_->options.key) {
        const std::string_view key = listener_->options.key(bytes);
        const unsigned slot = key.empty() ? context_.seat.slot() : slot_of(key, slot_count());
        if (slot != context_.seat.slot()) {
            (forward(bytes, ends, slot) ? metrics.forwarded : metrics.shed_forwarding).add();
            return;
        }
    }
    handle(bytes, ends);
}

bool DatagramService::forward(std::span<const std::byte> bytes, const DatagramEnds& ends, unsigned slot) {
    ForwardingHeader header = header_for(ends);
    iovec parts[] = {{&header, sizeof header}, {const_cast<std::byte*>(bytes.data()), bytes.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return ::sendmsg(listener_->inboxes[slot].writer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void DatagramService::take_forwarded(std::span<const std::byte> bytes) {
    const auto ends = read_header(bytes, listener_->family);
    if (!ends) return listener_->metrics.shed_malformed.add();
    handle(bytes.subspan(sizeof(ForwardingHeader)), *ends);
}

void DatagramService::handle(std::span<const std::byte> bytes, const DatagramEnds& ends) {
    const auto* coroutine = std::get_if<DatagramHandler::Coroutine>(&listener_->handler.function());
    if (coroutine && *at_work_ >= listener_->options.concurrency) return listener_->metrics.shed_busy.add();
    Datagram datagram({bytes.begin(), bytes.end()},
                      std::make_shared<const DatagramOrigin>(DatagramOrigin{listener_->socket, ends}));
    const std::uint64_t began = telemetry::monotonic_ns();
    context_.seat.count_request();
    const auto ended = [began](DatagramListener& listener) {
        listener.metrics.duration.record(std::chrono::nanoseconds(telemetry::monotonic_ns() - began));
    };
    if (!coroutine) {
        const auto at = context_.seat.activity("datagram", began);
        try {
            std::get<DatagramHandler::Plain>(listener_->handler.function())(datagram);
        } catch (...) {
            failed(std::current_exception());
        }
        return ended(*listener_);
    }
    ++*at_work_;
    boost::asio::co_spawn(context_.io, (*coroutine)(std::move(datagram)),
                          [this, alive = std::weak_ptr(alive_), at_work = at_work_, listener = listener_,
                           ended](const std::exception_ptr& failure) {
                              --*at_work;
                              ended(*listener);
                              if (failure && alive.lock()) failed(failure);
                          });
}

void DatagramService::failed(const std::exception_ptr& failure) {
    const std::uint64_t now = telemetry::monotonic_ns();
    if (complained_ns_ != 0 && now - complained_ns_ < kSecond) return;
    complained_ns_ = now;
    std::string reason = "an exception that is no std::exception";
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
        reason = exception.what();
    } catch (...) {
    }
    context_.seat.log(wire::Severity::error, "datagram_failed",
                      "A handler of " + listener_->address + " threw: " + reason);
}

}  // namespace signalbox::server

namespace signalbox {

std::string Datagram::peer() const {
    const sockaddr_storage& peer = origin_->ends.peer;
    if (peer.ss_family != AF_UNIX || origin_->ends.peer_size == 0)
        return origin_->ends.peer_size == 0 ? "unix" : server::format_address(peer);
    const auto& named = reinterpret_cast<const sockaddr_un&>(peer);
    const std::size_t most = origin_->ends.peer_size - offsetof(sockaddr_un, sun_path);
    return "unix:" + std::string(named.sun_path, ::strnlen(named.sun_path, most));
}

bool Datagram::reply(std::span<const std::byte> bytes) const {
    const server::DatagramEnds& ends = origin_->ends;
    if (ends.peer_size == 0) return false;
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[server::kControl]{};
    msghdr header{};
    header.msg_name = const_cast<sockaddr_storage*>(&ends.peer);
    header.msg_namelen = ends.peer_size;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (ends.local.family == AF_INET) {
        header.msg_control = control;
        in_pktinfo from{};
        std::memcpy(&from.ipi_spec_dst, &ends.local.address, sizeof from.ipi_spec_dst);
        server::add_control(header, IPPROTO_IP, IP_PKTINFO, from);
    } else if (ends.local.family == AF_INET6) {
        header.msg_control = control;
        server::add_control(
            header, IPPROTO_IPV6, IPV6_PKTINFO,
            in6_pktinfo{.ipi6_addr = ends.local.address, .ipi6_ifindex = ends.local.interface});
    }
    return ::sendmsg(origin_->socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

}  // namespace signalbox
