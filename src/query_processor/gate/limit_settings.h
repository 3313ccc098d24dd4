#pragma once

#include <array>
#include <string_view>

/// The limits that the extension holds, as settings `zorya.<name>`: each is as large as it can be,
/// the owner of a server can only lower it, and no client can change it at all. Plain data, without
/// PostgreSQL's headers, so that the command line can compile it too. docs/limits.md says where
/// each is looked at.
namespace zorya::query_processor::gate {

struct LimitSetting {
  std::string_view name;
  int maximum;
};

inline constexpr std::array<LimitSetting, 21> kLimitSettings = {{
    // Objects. Fact sheet 3.2; sizes as documented.
    {"schemas_max", 10},
    {"tables_max", 1000},
    {"views_max", 5000},
    {"view_bytes_max", 2 << 20},
    {"sequences_max", 5000},
    {"columns_max", 255},
    {"indexes_max", 24},
    {"key_columns_max", 8},
    {"declared_key_bytes_max", 2000},
    {"statistics_max", 5},
    {"statistics_target_max", 100},
    // Values.
    {"char_bytes_max", 4096},
    {"varchar_bytes_max", 65'535},
    {"key_bytes_max", 1024},
    {"column_bytes_max", 1 << 20},
    {"row_bytes_max", 2 << 20},
    // Transactions. Fact sheet 3.3; marks and the hard bound are ours.
    {"transaction_rows_max", 3000},
    {"transaction_marks_max", 30'000},
    {"transaction_mib_max", 10},
    {"transaction_hard_mib_max", 40},
    {"transaction_age_s_max", 300},
}};

/// The setting of that name, without `zorya.`; null if there is none.
constexpr const LimitSetting* limit_setting(std::string_view name) {
  for (const LimitSetting& setting : kLimitSettings) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

}  // namespace zorya::query_processor::gate
