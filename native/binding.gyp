{
  "targets": [{
    "target_name": "residual",
    "sources": ["<!@(node -p \"require('fs').readdirSync('src').concat(require('fs').readdirSync('src/ops').map((name) => 'ops/' + name)).filter((name) => name.endsWith('.cc')).map((name) => 'src/' + name).join(' ')\")"],
    "dependencies": ["<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all"],
    "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8"],
    "cflags_cc": ["-std=c++17", "-O3", "-fopenmp", "-Wall", "-Wextra", "-Wno-psabi"],
    "ldflags": ["-fopenmp"],
    "libraries": ["-ldnnl"]
  }]
}
