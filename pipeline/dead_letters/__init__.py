"""Dead letters in: reads the dead-letter topics, whoever writes them, and groups failures by cause."""
