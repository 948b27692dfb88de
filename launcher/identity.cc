#include "launcher/identity.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <grp.h>
#include <unistd.h>

namespace okibi::launcher {

namespace {

using Fields = std::vector<std::string>;

std::vector<Fields> readTable(const std::string& text) {
  std::vector<Fields> rows;
  std::stringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Fields row;
    std::stringstream fields(line);
    for (std::string field; std::getline(fields, field, ':');) row.push_back(field);
    if (row.size() >= 3) rows.push_back(std::move(row));
  }
  return rows;
}

std::optional<std::uint32_t> number(const std::string& text) {
  std::uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == ~0U) return {};
  return value;
}

Outcome<gid_t> resolveGroup(const std::string& name, const std::vector<Fields>& groups) {
  for (const Fields& row : groups) {
    if (row[0] == name) return number(row[2]).value_or(0);
  }
  if (auto id = number(name)) return *id;
  return refused("the image has no group '" + name + "'");
}

void addMemberships(Identity& identity, const std::string& name,
                    const std::vector<Fields>& groups) {
  for (const Fields& row : groups) {
    if (row.size() < 4) continue;
    std::stringstream members(row[3]);
    for (std::string member; std::getline(members, member, ',');) {
      if (member == name) identity.groups.push_back(number(row[2]).value_or(0));
    }
  }
}

}  // namespace

Outcome<Identity> resolveIdentity(const std::string& user, const std::string& passwd,
                                  const std::string& group) {
  std::size_t colon = user.find(':');
  std::string userPart = user.substr(0, colon);
  std::string groupPart = colon == std::string::npos ? "" : user.substr(colon + 1);
  if (userPart.empty()) userPart = "0";
  std::vector<Fields> users = readTable(passwd), groups = readTable(group);
  std::optional<std::uint32_t> uid = number(userPart);
  auto row =
      std::find_if(users.begin(), users.end(), [&](const Fields& r) { return r[0] == userPart; });
  if (row == users.end() && uid) {
    row = std::find_if(users.begin(), users.end(),
                       [&](const Fields& r) { return number(r[2]) == uid; });
  }
  Identity identity;
  if (row == users.end()) {
    if (!uid) return refused("the image has no user '" + userPart + "'");
    identity.uid = *uid;
  } else {
    identity.uid = number((*row)[2]).value_or(0);
    if (row->size() > 3) identity.gid = number((*row)[3]).value_or(0);
    if (row->size() > 5 && !(*row)[5].empty()) identity.home = (*row)[5];
    if (groupPart.empty()) addMemberships(identity, (*row)[0], groups);
  }
  if (!groupPart.empty()) {
    Outcome<gid_t> gid = resolveGroup(groupPart, groups);
    if (!gid) return std::unexpected(gid.error());
    identity.gid = *gid;
  }
  return identity;
}

Status becomeIdentity(const Identity& identity) {
  if (setgroups(identity.groups.size(), identity.groups.data()) != 0) return failed("setgroups");
  if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return failed("setresgid");
  if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return failed("setresuid");
  return {};
}

}  // namespace okibi::launcher
