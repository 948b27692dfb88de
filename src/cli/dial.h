#pragma once
// From the name of a server to a connection: all its addresses are tried in turn, as many programs
// listen on one of them alone ("localhost" is ::1 and 127.0.0.1).

#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "net/address.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/task.h"

namespace okibi::cli {

// Of "HOST:PORT", in the order in which the system prefers them, each once; at most eight.
// Unavailable: the name is not known. May wait for the network.
Result<std::vector<net::SocketAddress>> resolve(const std::string& authority);

// The first that answers. Each may take its part of the time that is left, so that none that is
// silent uses up what the others have. Fails with what the last one answered.
net::Task<Result<net::Socket>> dial(net::Loop& loop, std::vector<net::SocketAddress> addresses,
                                    Duration patience);

}  // namespace okibi::cli
