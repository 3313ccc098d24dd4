#include "cli/roles.h"

#include "base/clock.h"

namespace zorya::cli {

void Roles::set(const std::vector<template_engine::FunctionResource>& functions) {
  const std::lock_guard lock(mutex_);
  for (const template_engine::FunctionResource& function : functions) {
    Role& role = roles_[function.spec.role_arn];
    const std::string role_name =
        function.spec.role_arn.substr(function.spec.role_arn.rfind('/') + 1);
    role.identity.arn =
        "arn:aws:sts::" + account_ + ":assumed-role/" + role_name + "/" + function.spec.name;
    role.identity.policy = function.policy;
    role.good_until = {};  // keys of the old policy are not handed out again
  }
}

function_host::Credentials Roles::credentials(const std::string& role_arn) {
  const std::lock_guard lock(mutex_);
  Role& role = roles_[role_arn];
  const auto now = base::system_clock().now();
  if (role.good_until < now) {
    role.key = keys_.mint_session(role.identity, kLifetime);
    role.good_until = now + kLifetime / 2;
  }
  return {role.key.access_key_id, role.key.secret_access_key, role.key.session_token,
          role.key.expires.value_or(now + kLifetime)};
}

}  // namespace zorya::cli
