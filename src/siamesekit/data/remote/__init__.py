"""Photos on other machines: `servers` downloads them within bounds, `photo_cache` keeps them on this machine."""
