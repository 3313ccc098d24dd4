#pragma once

#include "template_engine/function_reader.h"
#include "template_engine/intrinsics.h"

#include <string>
#include <vector>

namespace zorya::template_engine {

/// One AWS::DSQL::Cluster as written.
struct ClusterSource {
  std::string logical_id;
  std::string id;
  Value properties;
};

/// The Resources section sorted by kind, globals merged in, physical names given.
struct Resources {
  std::vector<FunctionSource> functions;
  std::vector<ClusterSource> clusters;
  std::string api_id;                 // of the implicit API; empty: no function has an Api event
  std::set<std::string> logical_ids;  // all that are written, the refused ones too
};

/// Walks the section once: checks form, types and attributes; reads no property but FunctionName.
Resources survey_resources(const Value& section, const Value* globals, const Context& context,
                           Resolver& resolver, Refusals& refusals);

/// What Ref and GetAtt give for each resource, and for those that SAM generates.
std::map<std::string, ResourceNames> resource_names(const Resources& resources,
                                                    const Context& context);

ClusterResource read_cluster(const ClusterSource& source, Resolver& resolver, Refusals& refusals);

}  // namespace zorya::template_engine
