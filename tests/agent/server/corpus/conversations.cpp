#include "corpus/conversations.hpp"

using namespace std::string_literals;

const std::vector<Conversation>& conversation_corpus() {
    // clang-format off
    static const std::vector<Conversation> rows = {
        // Persistence: RFC 9112, section 9.3
        {"9112 9.3: 1.1 is kept", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 9.3: close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 9.3: close in capitals", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: CLOSE\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 9.3: close wins over keep-alive", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 9.3: close in a second field", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9110 7.6.1: other options mean nothing", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: x-closed\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 9.3: keep-alive in 1.1", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 9.3: 1.0 is closed", "GET /a HTTP/1.0\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 9.3: 1.0 with keep-alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 9.3: 1.0 with both", "GET /a HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 C.2.2: Keep-Alive alone says nothing", "GET /a HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 C.2.2: Proxy-Connection is ignored", "GET /a HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n"s, {"200 GET /a []"}, false},
        {"9112 9.6: nothing is answered after close", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []"}, false},

        // Pipelining: RFC 9112, section 9.3.2
        {"9112 9.3.2: two", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "200 GET /b []"}, true},
        {"9112 9.3.2: three, the last of them closing", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\nGET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"s, {"200 GET /a []", "200 GET /b []", "200 GET /c []"}, false},
        {"9112 9.3.2: a body between", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyzGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a [xyz]", "200 GET /b []"}, true},
        {"9112 9.3.2: chunks between", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a [xyz]", "200 GET /b []"}, true},
        {"9112 9.3.2: good, then malformed", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost : h\r\n\r\n"s, {"200 GET /a []", "400"}, false},
        {"9112 9.3.2: malformed, then good", "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9112 9.3.2: 1.0 and 1.1 mixed", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "200 GET /b []"}, true},
        {"9112 2.2: an empty line between", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "200 GET /b []"}, true},
        {"9112 2.2: an empty line after a body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a [x]", "200 GET /b []"}, true},
        {"9112 2.2: a bare LF between", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "400"}, false},
        {"9112 2.2: white space between", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n GET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "400"}, false},
        {"9112 2.2: a zero byte between", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n\0GET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "400"}, false},

        // Where a body ends: RFC 9112, section 6
        {"9112 6.3: a body longer than its length is the next request", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxyz"s, {"200 POST /a [x]"}, true},
        {"9112 6.3: no length, no body", "POST /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a []", "200 GET /b []"}, true},
        {"9112 6.3: a request hidden in a body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 33\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\nxy"s, {"200 POST /a [GET /evil HTTP/1.1\r\nHost: h\r\n\r\nxy]"}, true},
        {"9112 6.3: a chunk that looks like a request", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n12\r\nGET /evil HTTP/1.1\r\n0\r\n\r\n"s, {"200 POST /a [GET /evil HTTP/1.1]"}, true},
        {"9110 9.3.1: GET with a body", "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxyGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a [xy]", "200 GET /b []"}, true},
        {"9110 9.3.1: GET with chunks", "GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a [x]", "200 GET /b []"}, true},
        {"9110 9.3.2: HEAD with a body", "HEAD /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxyGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 HEAD", "200 GET /b []"}, true},
        {"9112 6.3: length 0", "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 PUT /a []", "200 GET /b []"}, true},
        {"9112 6.1: CL.TE", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"s, {"400"}, false},
        {"9112 6.1: TE.CL", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1d\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 6.1: TE.TE, one of them not chunked", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-encoding: x\r\n\r\n0\r\n\r\nG"s, {"400"}, false},
        {"9112 6.1: CL.0 with a coding and length 0", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 6.1: coding in 1.0", "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 6.3: two lengths that differ", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9112 5: length after a nameless fold", "POST /a HTTP/1.1\r\nHost: h\r\nX: y\r\n Content-Length: 30\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9110 5.1: Content-Length with a zero in its name", "POST /a HTTP/1.1\r\nHost: h\r\nContent\0-Length: 30\r\n\r\n"s, {"400"}, false},
        {"9110 5.6.1: plus in the length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n"s, {"400"}, false},
        {"9110 8.6: octal means nothing", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 010\r\n\r\n0123456789"s, {"200 POST /a [0123456789]"}, true},
        {"9110 8.6: tabs around the length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:\t1\t\r\n\r\nx"s, {"200 POST /a [x]"}, true},

        // Chunks: RFC 9112, section 7.1
        {"9112 7.1: one byte each", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"s, {"200 POST /a [abc]"}, true},
        {"9112 7.1: hexadecimal in both cases", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"s, {"200 POST /a [01234567890123456789]"}, true},
        {"9112 7.1: zeros before the size", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000000000001\r\na\r\n00\r\n\r\n"s, {"200 POST /a [a]"}, true},
        {"9112 7.1.1: extensions are ignored", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a;b=c;d=\"e\\\"; 0\"\r\nx\r\n0;z\r\n\r\n"s, {"200 POST /a [x]"}, true},
        {"9112 7.1.1: a line end in a quoted extension", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;a=\"\r\nx\"\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 7.1.1: an extension that hides the size", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 7.1.2: trailers are not seen", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nHost: evil\r\nX-Sum: 1\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a [x]", "200 GET /b []"}, true},
        {"9112 7.1.2: a folded trailer", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n"s, {"400"}, false},
        {"9110 6.5.1: a trailer with a space before its colon", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : a\r\n\r\n"s, {"400"}, false},
        {"9112 7.1: last chunk without its line end", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9112 7.1: two bytes more than the size", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n\r\n0\r\n\r\n"s, {"400"}, false},
        {"9112 7.1: bare CR at the end", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\rG"s + "ET /b HTTP/1.1\r\n\r\n"s, {"400"}, false},

        // Targets: RFC 9112, section 3.2; RFC 3986
        {"9112 3.2.1: query", "GET /a?b=c&d HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?b=c&d []"}, true},
        {"9112 3.2.1: empty query", "GET /a? HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 3.2.1: two question marks", "GET /a?b?c HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?b?c []"}, true},
        {"9112 3.2.2: absolute form", "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?b []"}, true},
        {"9112 3.2.2: the target's host wins", "GET http://other:81/host HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /host [] other:81"}, true},
        {"9112 3.2.2: even in 1.0", "GET http://other/host HTTP/1.0\r\n\r\n"s, {"200 GET /host [] other"}, false},
        {"9112 3.2.2: a Host is needed all the same", "GET http://h/a HTTP/1.1\r\n\r\n"s, {"400"}, false},
        {"9112 3.2.2: scheme in capitals", "GET HTTPS://h/a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9112 3.2.2: no path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET / []"}, true},
        {"9112 3.2.2: a query without a path", "GET http://h?b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /?b []"}, true},
        {"9112 3.2.3: CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"s, {"400"}, false},
        {"9112 3.2.4: OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"s, {"204"}, true},
        {"9112 3.2.4: asterisk for POST", "POST * HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9112 3.2.4: asterisk and something", "OPTIONS *a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"9110 9.3.7: OPTIONS of a path", "OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 OPTIONS /a []"}, true},
        {"3986 2.1: escapes are decoded once", "GET /%2541 HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /%41 []"}, true},
        {"3986 2.1: escapes in lower case", "GET /%c3%a9 HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /\xc3\xa9 []"}, true},
        {"3986 2.1: overlong UTF-8 is bytes, not a dot", "GET /%c0%ae%c0%ae/a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /\xc0\xae\xc0\xae/a []"}, true},
        {"3986 2.1: an encoded line end", "GET /a%0d%0ab HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a\r\nb []"}, true},
        {"3986 2.1: half an escape at the end", "GET /a%4 HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"3986 2.1: an escape with a sign", "GET /a%+41 HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"3986 2.1: %u is no escape", "GET /%u0041 HTTP/1.1\r\nHost: h\r\n\r\n"s, {"400"}, false},
        {"3986 2.1: plus in a path is a plus", "GET /a+b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a+b []"}, true},
        {"3986 2.1: an encoded question mark is of the path", "GET /a%3fb HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?b []"}, true},
        {"3986 2.1: malformed escapes in a query stay", "GET /a?%zz HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?%zz []"}, true},
        {"3986 5.2.4: dots", "GET /a/./b/../c HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a/c []"}, true},
        {"3986 5.2.4: above the root", "GET /../../a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []"}, true},
        {"3986 5.2.4: encoded dots", "GET /a/%2e%2E/%2e/b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /b []"}, true},
        {"3986 5.2.4: encoded slashes around dots", "GET /a%2f..%2fb HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /b []"}, true},
        {"3986 5.2.4: twice encoded dots are a name", "GET /%252e%252e/a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /%2e%2e/a []"}, true},
        {"3986 5.2.4: three dots are a name", "GET /.../a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /.../a []"}, true},
        {"3986 5.2.4: dots in a query stay", "GET /a?b=/../c HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a?b=/../c []"}, true},
        {"3986 3.3: two slashes stay", "GET //a//b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET //a//b []"}, true},
        {"3986 3.3: a backslash is no slash", "GET /..\\a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /..\\a []"}, true},

        // Methods: RFC 9110, section 9
        {"9110 9.1: methods have a case", "get /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"405"}, true},
        {"9110 9.1: an unknown method", "BREW /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"405"}, true},
        {"9110 9.3.8: TRACE is not echoed", "TRACE /a HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n\r\n"s, {"405"}, true},
        {"9110 9.3.5: DELETE", "DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 DELETE /a []"}, true},
        {"9110 9.3.2: HEAD has no body", "HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 HEAD", "200 GET /b []"}, true},
        {"9110 9.1: every token character", "!#$%&'*+-.^_`|~ /a HTTP/1.1\r\nHost: h\r\n\r\n"s, {"405"}, true},
        {"9112 3: the rest of an unknown method's body", "BREW /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxyGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"405", "200 GET /b []"}, true},

        // Expect: RFC 9110, section 10.1.1
        {"9110 10.1.1: the body is there, no interim answer", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"s, {"200 POST /a []"}, true},
        {"9110 10.1.1: no body is announced", "GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9110 10.1.1: in capitals", "GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-CONTINUE\r\n\r\n"s, {"200 GET /a []"}, true},
        {"9110 10.1.1: 1.0 is not asked to continue", "POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"s, {"200 POST /a [x]"}, false},
        {"9110 10.1.1: another expectation", "POST /a HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx"s, {"417"}, false},

        // Upgrades that are not spoken: RFC 9110, section 7.8
        {"9110 7.8: h2c is ignored", "GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "200 GET /b []"}, true},

        // Sizes: RFC 9112, section 3; RFC 9110, section 5.4
        {"9110 5.4: a header at the limit, then another", "GET /a HTTP/1.1\r\nHost: h\r\nX: "s + std::string(4063, 'a') + "\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "200 GET /b []"}, true},
        {"9110 5.4: one byte more", "GET /a HTTP/1.1\r\nHost: h\r\nX: "s + std::string(4064, 'a') + "\r\n\r\n"s, {"431"}, false},
        {"9112 3: good, then a target that is too long", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /"s + std::string(5000, 'b') + " HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 GET /a []", "414"}, false},
        {"9110 15.5.14: good, then a body that is too long", "GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"s, {"200 GET /a []", "413"}, false},
        {"9110 8.6: the longest body", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"s + std::string(1000, 'x') + "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"s, {"200 POST /a [" + std::string(1000, 'x') + "]", "200 GET /b []"}, true},
        {"9110 8.6: bytes of any value", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\0\r\n\xff"s, {"200 POST /a [\0\r\n\xff]"s}, true},
    };
    // clang-format on
    return rows;
}
