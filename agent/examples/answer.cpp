// signalbox-answer [ADDRESS]: answers SIP requests over UDP with 200 OK, each dialogue by the same worker.
//
//     signalbox-answer 127.0.0.1:5060 &
//     printf 'OPTIONS sip:x SIP/2.0\r\nCall-ID: 1@me\r\n\r\n' | nc -u -w1 127.0.0.1 5060
#include <algorithm>
#include <exception>
#include <iostream>
#include <string>

#include <signalbox/group.hpp>

namespace {

/// What a response repeats of its request (RFC 3261, section 8.2.6.2).
constexpr std::string_view kRepeated[] = {
    "Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "CSeq:"};

void answer(const signalbox::Datagram& request) {
    std::string response = "SIP/2.0 200 OK\r\n";
    std::string_view rest = request.text();
    if (rest.starts_with("SIP/2.0")) return;  // a response: to whom it is, nobody knows here
    while (!rest.empty() && !rest.starts_with("\r\n")) {
        const std::size_t end = std::min(rest.find("\r\n"), rest.size());
        for (const std::string_view name : kRepeated)
            if (rest.substr(0, end).starts_with(name)) response.append(rest.substr(0, end)).append("\r\n");
        rest.remove_prefix(std::min(end + 2, rest.size()));
    }
    request.reply(response + "Content-Length: 0\r\n\r\n");
}

}  // namespace

int main(int argc, char** argv) {
    try {
        signalbox::Group group({.name = "answer", .workers = 2, .agent_socket = "answer.sock"});
        const std::string address =
            group.datagram(argc > 1 ? argv[1] : "127.0.0.1:5060", signalbox::DatagramHandler(answer),
                           {.key = signalbox::sip_call_id});
        std::cout << "listening on " << address << std::endl;  // flushed: run() forks
        return group.run();
    } catch (const std::exception& error) {
        std::cerr << "signalbox-answer: " << error.what() << '\n';
        return 1;
    }
}
