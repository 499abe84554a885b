// SPDX-License-Identifier: Apache-2.0
#include "tests/sdk/sample_module.hpp"

DRASRIOV_EXPORT_MODULE(drasriov::sdk_test::SampleModule);
