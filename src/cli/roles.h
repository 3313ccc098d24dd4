#pragma once

#include "function_host/client.h"
#include "iam/key_store.h"
#include "template_engine/plan.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace zorya::cli {

/// The execution roles of the deployed functions: hands out their session keys. Any thread; never
/// blocks on more than a mutex.
class Roles {
 public:
  explicit Roles(iam::KeyStore& keys, std::string account)
      : keys_(keys), account_(std::move(account)) {}

  /// Takes the roles of these functions; those of others are kept.
  void set(const std::vector<template_engine::FunctionResource>& functions);

  /// Keys of a role that are good for at least half of kLifetime. An unknown role gets keys that
  /// allow nothing.
  function_host::Credentials credentials(const std::string& role_arn);

  static constexpr std::chrono::hours kLifetime{6};

 private:
  struct Role {
    iam::Identity identity;
    iam::AccessKey key;
    std::chrono::system_clock::time_point good_until{};
  };

  iam::KeyStore& keys_;
  std::string account_;
  std::mutex mutex_;
  std::map<std::string, Role> roles_;  // by ARN
};

}  // namespace zorya::cli
